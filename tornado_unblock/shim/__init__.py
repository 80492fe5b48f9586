"""From sync to async, one function at a time.

    from tornado_unblock import shim

    @shim.dual
    def load_order(key): ...           # today: blocking

    load_order(7)                      # in an unblocked body, a script, a test
    await load_order.aio(7)            # in a coroutine; the loop stays free

When ``load_order`` becomes ``async def``, both calls still work: no caller changes.

The facades stand under the names that people import already, each with ``.aio`` on
what blocks; each needs the extra of its name (``pip install
'tornado-unblock[requests]'``).
"""

from tornado_unblock.shim._crossing.contexts import DualContext, contextmanager
from tornado_unblock.shim._crossing.dual import Dual, DualGenerator, dual, pair
from tornado_unblock.shim._crossing.iterators import DualIterator
from tornado_unblock.shim._crossing.wait import wait

__all__ = [
    "Dual",
    "DualContext",
    "DualGenerator",
    "DualIterator",
    "contextmanager",
    "dual",
    "pair",
    "wait",
]
