"""A load test with impatient clients: what share of the requests succeeds?

Four servers have the same body; a client is a process that does not wait for ever:

    settings, cli, __main__    what a run is asked to do, and its exit code
    server                     the body behind each of the servers
    client                     one client
    crowd                      many of them, and what came of their requests
    runner                     one case after the other, one server after the other
    results                    the numbers of one server
    report, display            checks, tables, charts, JSON
"""
