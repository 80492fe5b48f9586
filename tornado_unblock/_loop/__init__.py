"""The worker's only door to the loop thread, and what is kept for each loop.

Threads: any thread posts through a `Portal`; what it posts runs on the loop thread.
Guarantees: posts of one thread run in order; a wait for the loop ends when the loop
closes or the interpreter goes down; a forked child begins with nothing of its parent.
"""
