"""A body that computes for 0.2 s, in six variants, and what its neighbour feels.

The variants are in `variants/`: the same handlers, with the body on the loop thread,
on worker threads, and in other processes. Everything else measures them:

    settings, cli, __main__  what a run is asked to do, and its exit code
    work                     the computing, and how much of it takes 0.2 s here
    service                  one variant in a process of its own
    meter, runner            a load, its neighbour, and each variant under it
    telling                  what came of it: table, charts, checks, advice
"""
