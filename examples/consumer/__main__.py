"""`python -m examples.consumer`: measure it. See `--help`."""

import sys

from benchmarks.harness.entry import main

sys.exit(main("consumer"))
