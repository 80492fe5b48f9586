"""Models and handlers as `async def`.

What is not in this folder is as in the step before.
"""

from examples.migration import step4_async_leaves

__path__ += step4_async_leaves.__path__  # type: ignore[name-defined]
