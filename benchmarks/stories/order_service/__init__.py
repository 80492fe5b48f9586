"""The order service, stage by stage.

schema, database      the orders in SQLite, MySQL or PostgreSQL
logistics             the API that the service asks
load, results         the requests, and what came of them
account               the published figures of such a service
"""
