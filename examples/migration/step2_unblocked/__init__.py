"""One `@unblock` line.

What is not in this folder is as in the step before.
"""

from examples.migration import step1_inline

__path__ += step1_inline.__path__  # type: ignore[name-defined]
