"""`python -m examples.incident`: let the database get slow, and read the page."""

import sys

from benchmarks.harness.entry import main

sys.exit(main("incident"))
