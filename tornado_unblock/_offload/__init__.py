"""One function on its way to a worker and back: the state machine of an offload.

Threads: admitted and ended on the loop thread, run in a worker.
Guarantees: a token is given back once, when the function has really ended; its Future
gets one outcome; what nobody waits for any more sends nothing.
"""
