"""A ticket desk on its way from blocking handlers to `async def`, in five steps.

The steps are packages, `step1_inline` to `step5_native`; the difference from one to
the next is the story, and docs/migration.md tells it. In each of them:

    handlers        the routes
    models          what the desk does; the handlers and the nightly report call it
    partner, store  the leaves: an API that takes its time, and the database
    context         who asks
    report          the nightly report, a script

Everything else here sets up what they need and measures them:

    settings, cli, __main__     what a run is asked to do, and its exit code
    steps                       the list of steps
    schema, partner_api         the database's tables, and the partner's server
    service                     one step in a process of its own
    calls                       what every step must answer with the same bytes
    meter, runner               the load, and each step under it
    telling                     what came of it: table, charts, checks
"""
