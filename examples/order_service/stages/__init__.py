"""The stages, from `as_written` to `native`; each differs from the last by a few lines.

A stage offers `ROUTES`, and `set_up` if something is to be done once in its process.
"""
