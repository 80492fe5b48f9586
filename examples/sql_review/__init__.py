"""A work-order service whose checker takes seconds: inline, forked, and unblocked.

`variants/` has the handlers. The checker, the loads and how they are measured are in
`benchmarks/stories/sql_review`.
"""
