"""A ticket desk on its way from blocking handlers to `async def`, in five steps.

The steps are packages, `step1_inline` to `step5_native`. The first has all modules,
each later one only those that change; the others are those of the step before:

    handlers        the routes
    models          what the desk does; the handlers and the nightly report call it
    partner, store  the leaves: an API that takes its time, and the database
    context         who asks
    report          the nightly report, a script

docs/migration.md walks through them; `benchmarks/stories/migration` measures them.
"""
