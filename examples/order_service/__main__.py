"""`python -m examples.order_service`: measure it. See `--help`."""

import sys

from benchmarks.harness.entry import main

sys.exit(main("order_service"))
