"""All stories, measured one after the other, and one page about them.

A story is an example that hands in what it measured as a JSON document:

    cli, __main__     options in, exit code out
    story             the document
    runner            a story in a process of its own
    machine           what the numbers were measured on
    page, page.html   the page
    display           what the terminal shows
    drawing           charts, for the stories
"""
