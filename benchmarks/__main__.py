"""`python -m benchmarks`: measure what the documentation claims. See `--help`."""

import sys

try:
    from benchmarks.cli import main
except ModuleNotFoundError as missing:
    print(
        f"benchmarks: the package {missing.name} is not installed: "
        "pip install 'tornado-unblock[bench]'",
        file=sys.stderr,
    )
    sys.exit(2)

sys.exit(main())
