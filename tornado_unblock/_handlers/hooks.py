"""Standing before a method of one object, as the shim does.

A hook is an instance attribute, so it serves one object and leaves its class alone. It
is called without ``self``, as any instance attribute is. It is here since a handler may
have hooks when it is copied for an error page: they speak for the handler, and are left
out of the copy.
"""

from __future__ import annotations

import functools


class Hook(functools.partial):  # type: ignore[type-arg]
    """What stands before a method of one object."""

    # The instance attribute that it hides, if there was one.
    hidden: object = None


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
