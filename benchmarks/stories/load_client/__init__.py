"""A load test with impatient clients: what share of the requests succeeds?

service          the body behind each of the servers
client, crowd    one client, and many of them
results          the numbers of one server
"""
