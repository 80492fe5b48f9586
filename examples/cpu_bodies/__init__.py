"""A body that computes for 0.2 s, in six variants, and the route beside it.

`variants/` has the same handlers with the body on the loop thread, on worker threads,
and in other processes; `work.py` is what it computes. How they are measured is in
`benchmarks/stories/cpu_bodies`.
"""
