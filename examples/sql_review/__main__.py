"""`python -m examples.sql_review`: measure the variants. See `--help`."""

import sys

try:
    from examples.sql_review.cli import main
except ModuleNotFoundError as missing:
    print(
        f"sql_review: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[examples]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
