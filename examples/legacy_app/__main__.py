"""`python -m examples.legacy_app`: serve until Ctrl-C. See `--help`."""

import sys

try:
    from examples.legacy_app.cli import main
except ModuleNotFoundError as missing:
    print(
        f"legacy_app: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[examples]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
