"""The ticket desk, step by step.

steps                the list of steps
schema, partner_api  the database's tables, and the partner's server
calls, load          what every step must answer, and a load of bookings
"""
