"""An order service that blocks everywhere, measured before and after `@unblock`.

The handlers are in `stages/`; each stage differs from the one before by a few
lines. Everything else here sets up what they need and measures them:

    settings, cli, __main__          what a run is asked to do, and its exit code
    schema, drivers, database        the orders in SQLite, MySQL or PostgreSQL
    logistics, service, serve        the two server processes
    interrupts, processes, servers   starting children, and leaving none behind
    client, load                     the requests, and what came of them
    runner                           one stage after another
    results, display, chart, report  numbers, tables, sentence, SVG, JSON
    account                          the published figures of such a service
"""
