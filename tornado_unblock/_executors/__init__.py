"""Threads and processes by name, and their options.

Threads: any thread may configure, look up and submit; each executor has its own lock.
Guarantees: an executor is made on first use; its threads are daemons and end when
they have been idle; a forked child has the same executors, empty.
"""
