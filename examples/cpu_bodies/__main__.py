"""`python -m examples.cpu_bodies`: measure the variants. See `--help`."""

import sys

try:
    from examples.cpu_bodies.cli import main
except ModuleNotFoundError as missing:
    print(
        f"cpu_bodies: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[examples]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
