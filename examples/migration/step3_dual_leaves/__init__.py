"""The leaves, callable from both colours.

What is not in this folder is as in the step before.
"""

from examples.migration import step2_unblocked

__path__ += step2_unblocked.__path__  # type: ignore[name-defined]
