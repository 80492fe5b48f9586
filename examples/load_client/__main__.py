"""`python -m examples.load_client`: measure it. See `--help`."""

import sys

from benchmarks.harness.entry import main

sys.exit(main("load_client"))
