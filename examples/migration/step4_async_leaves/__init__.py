"""Those leaves that wait, as `async def`.

What is not in this folder is as in the step before.
"""

from examples.migration import step3_dual_leaves

__path__ += step3_dual_leaves.__path__  # type: ignore[name-defined]
