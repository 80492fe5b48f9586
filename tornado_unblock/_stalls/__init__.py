"""What blocks the loop: while it runs (`watch`), and in a test (`no_stalls`).

Threads: each loop measures itself on its own thread; one watcher thread looks at all
of them, samples their stacks and logs. Any thread may ask.
Guarantees: counts are never lost, however few lines are logged; what is kept is
bounded by the number of endpoints and places; nothing here stops a program.
"""
