"""A work-order service whose checker takes seconds, in three variants.

protocol, standin, checker  the checker: a server of ours, or the one you have
cases                       three loads, and what came of them
"""
