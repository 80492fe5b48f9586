"""An application as they were written ten years ago, and one line that unblocks it.

    python -m examples.legacy_app              one request at a time
    python -m examples.legacy_app --unblock    side by side

Every handler is a plain `def` and blocks: on SQL, on password hashes, on files.

    models                           the tables, and a session for each thread
    base                             what all handlers inherit
    accounts, documents, reports,    the pages by topic
    chat
    modules                          parts of pages, which query for themselves
    app, cli, __main__               routes and settings; the process
"""
