"""What `python -m examples.<name>` runs: a command, if all it needs is there."""

# Only the standard library: it has to say what is missing.

from __future__ import annotations

import importlib
import sys


def main(name: str, module: str = "benchmarks.stories.{}.cli") -> int:
    """Run the command of this story, and return its exit code.

    Args:
        name: The story, for messages.
        module: Where its `main` is.
    """
    try:
        story = importlib.import_module(module.format(name))
    except ModuleNotFoundError as missing:
        print(
            f"{name}: the package {missing.name} is not installed: "
            "pip install 'tornado-unblock[examples]'",
            file=sys.stderr,
        )
        return 2
    code: int = story.main()
    return code
