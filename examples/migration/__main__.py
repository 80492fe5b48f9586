"""`python -m examples.migration`: measure the steps. See `--help`."""

import sys

try:
    from examples.migration.cli import main
except ModuleNotFoundError as missing:
    print(
        f"migration: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[examples]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
