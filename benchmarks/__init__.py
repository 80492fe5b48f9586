"""What a hop costs, measured against the other ways to serve blocking code.

`python -m benchmarks` measures; `python -m benchmarks.guard` counts instructions.
"""
