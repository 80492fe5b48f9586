"""`python -m examples.sql_review`: measure it. See `--help`."""

import sys

from benchmarks.harness.entry import main

sys.exit(main("sql_review"))
