"""What of a Tornado handler runs where, who holds it, and who answers.

Threads: plans are made and handlers handed over on the loop thread; bodies run in
workers. Guarantees: while a body runs the loop thread leaves its handler alone; the
client gets one response, the body's or the error page's.
"""
