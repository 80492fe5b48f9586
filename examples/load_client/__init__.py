"""A report that takes its time, asked for by clients that do not wait for ever.

`server.py` has the handler, inline and unblocked, and the limits. How clients and
servers are run and measured is in `benchmarks/stories/load_client`.
"""
