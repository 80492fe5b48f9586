"""What stands before a method of one object comes off as it went on."""

from __future__ import annotations

from tornado_unblock._handlers.hooks import Hook, install_hook, remove_hook


class Target:
    pass


def test_hooks_come_off_in_the_order_they_went_on():
    """What a hook hid is there again, also when that was a hook."""
    target = Target()
    target.method = "own"  # type: ignore[attr-defined]
    for name in ("inner", "outer"):
        install_hook(target, "method", Hook(str, name))
    for expected in ("outer", "inner"):
        assert vars(target)["method"]() == expected
        remove_hook(target, "method")
    remove_hook(target, "method")
    assert vars(target) == {"method": "own"}
    install_hook(target, "other", Hook(str))
    remove_hook(target, "other")
    assert "other" not in vars(target)
