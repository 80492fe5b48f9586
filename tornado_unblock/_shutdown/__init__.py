"""Draining a loop: let in no more, wait, then answer for what is left.

Threads: the loop thread; signals arrive on the main thread.
Guarantees: nothing here blocks the loop; after the deadline every request has its
answer, whatever still runs.
"""
