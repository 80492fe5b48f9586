"""`python -m examples.load_client`: measure the servers. See `--help`."""

import sys

try:
    from examples.load_client.cli import main
except ModuleNotFoundError as missing:
    print(
        f"load_client: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[examples]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
