"""Who may have a worker, who waits for one, and what is counted.

Threads: the loop thread, so there are no locks; any thread may read `statistics`.
Guarantees: no more bodies than tokens; endpoints share them fairly; a full executor
turns away at once; each request is counted once.
"""
