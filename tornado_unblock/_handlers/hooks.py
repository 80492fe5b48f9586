"""Standing before a method of one object.

A hook is an instance attribute, so it serves one handler and leaves its class
alone. It is called without ``self``, as any instance attribute is.
"""

from __future__ import annotations

import functools
from typing import Any


class Hook(functools.partial):  # type: ignore[type-arg]
    """What stands before a method of one object."""

    # The instance attribute that it hides, if there was one.
    hidden: Any = None


def install_hook(target: object, name: str, hook: Hook) -> None:
    """Put ``hook`` before ``target``'s method called ``name``."""
    own = vars(target)
    hook.hidden = own.get(name)
    own[name] = hook


def remove_hook(target: object, name: str) -> None:
    """Take the foremost hook called ``name`` away from ``target``, if any."""
    own = vars(target)
    hook = own.get(name)
    if isinstance(hook, Hook):
        if hook.hidden is None:
            del own[name]
        else:
            own[name] = hook.hidden
