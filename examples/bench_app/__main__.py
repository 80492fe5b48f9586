"""`python -m examples.bench_app`: run all stories. See `--help`."""

import sys

try:
    from examples.bench_app.cli import main
except ModuleNotFoundError as missing:
    print(
        f"bench_app: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[examples]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
