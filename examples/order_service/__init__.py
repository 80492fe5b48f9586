"""An order service that blocks everywhere, and five stages on the way out of it.

`stages/` has the handlers, `common.py` what they share. How they are measured, on
which database and with which load, is in `benchmarks/stories/order_service`.
"""
