"""The connection of a request or a WebSocket, usable from any thread.

Threads: a worker's calls are carried to the loop thread; the loop's go straight on.
Guarantees: what is written leaves in the order of the calls, each as it was when the
call was made; errors of the connection are raised where the call was made.
"""
