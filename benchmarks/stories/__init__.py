"""The examples, measured: a package for each story, with all it needs for that.

What a reader would copy is in `examples/`; here are loads, stand-ins for the outside
world, checks, and what a run says in the end. A story has at least

    cli       options in, an exit code out: what `python -m examples.<name>` runs
    settings  what a run is asked to do
    runner    measures one variant after the other
    telling   what came of it: tables, charts, checks
    service   one variant in a process of its own
"""
