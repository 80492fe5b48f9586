"""All stories, measured one after the other, and one page about them.

A story is an example that hands in what it measured as a JSON document: see
`benchmarks/harness/story.py`. `cli` runs them, `display` is what the terminal shows.
"""
