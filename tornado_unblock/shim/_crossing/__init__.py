"""How a call gets from sync to async code and back; the private half of the shim.

Threads: sync code waits in its own thread; async code runs on the loop of the
application, or on one that the process keeps for threads without a loop.
Guarantees: what a waiting thread's coroutine calls runs in that very thread.
"""
