"""`python -m examples.order_service`: measure the stages. See `--help`."""

import sys

try:
    from examples.order_service.cli import main
except ModuleNotFoundError as missing:
    print(
        f"order_service: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[examples]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
