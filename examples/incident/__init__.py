"""A shop whose database gets slow, with what its owners see of that.

`app.py` has what one would copy: limits for the database, and metrics. How the trouble
is made, and who looks at the status page, is in `benchmarks/stories/incident`.
"""
