"""`python -m examples.bench_app`: run all stories. See `--help`."""

import sys

from benchmarks.harness.entry import main

sys.exit(main("bench_app", "examples.bench_app.cli"))
