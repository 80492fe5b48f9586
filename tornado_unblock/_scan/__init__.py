"""What blocks the loop, in the source; and fixes for it.

    python -m tornado_unblock scan app/
    python -m tornado_unblock fix app/

Nothing that is scanned is imported or run. Nothing here imports another part of the
library.

    source                         files as text and trees, whatever is wrong with them
    scopes, frames, values, project    names and where they lead, modules, classes
    interpret                      what an expression may be
    rules, table                   what blocks, as data; and how it is looked up
    reach                          what a function calls, and what of that blocks
    handlers, routes               where requests begin
    attention                      what will meet when bodies run side by side
    scan, findings                 the whole, and what comes of it
    settings, baseline, observed   what a run is told
    formats, cli                   what it tells
    fixes, fix_cli                 edits
"""
