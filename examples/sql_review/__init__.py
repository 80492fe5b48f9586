"""A work-order service whose checker takes seconds, in three variants.

The variants are in `variants/`: the same handlers, inline, in forked processes, and
unblocked. Everything else here sets up what they need and measures them:

    settings, cli, __main__     what a run is asked to do, and its exit code
    protocol, standin, checker  the checker: a server of ours, or the one you have
    service                     one variant in processes of its own
    cases, runner               three loads, and each variant under each of them
    telling                     what came of it: tables, charts, checks
    display                     the terminal, bar charts, the JSON file
"""
