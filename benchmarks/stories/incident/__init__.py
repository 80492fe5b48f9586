"""The database gets slow, and what the status page shows at each minute.

database      orders in SQLite, MySQL or PostgreSQL, as slow as they are told to be
service       the server's process
customers     who asks it, and what they get
reading       what somebody who is called out of bed reads on the page
runner        the minutes, one after the other
"""
