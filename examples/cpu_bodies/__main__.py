"""`python -m examples.cpu_bodies`: measure it. See `--help`."""

import sys

from benchmarks.harness.entry import main

sys.exit(main("cpu_bodies"))
