"""What stalls a loop, and what each tool says of it: `python -m benchmarks.stalls`."""
