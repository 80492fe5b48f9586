"""Work orders: SQL is checked, tables are weighed, small changes are executed."""

import contextlib

import pymysql
import tornado.web

PROCESSES = 8  # what HTTPServer.start() would be given

# What a checker takes its time for; any server of this protocol can answer it.
QUERY = "SELECT SLEEP(%s) AS slept, 'done' AS stage, LENGTH(%s) > 0 AS accepted"


class ReviewHandler(tornado.web.RequestHandler):
    """Passes a batch of SQL on to the checker and waits for its verdict."""

    task = ""

    def post(self) -> None:
        batch = self.get_body_argument("batch")
        seconds = self.settings["seconds"][self.task]
        with contextlib.closing(pymysql.connect(**self.settings["checker"])) as checker:
            with checker.cursor() as cursor:
                cursor.execute(QUERY, (seconds, batch))
                row = cursor.fetchone()
        if row is None:
            raise tornado.web.HTTPError(502, "the checker gave no verdict")
        self.write({"task": self.task, "stage": row[1], "accepted": row[2] == 1})


class CheckHandler(ReviewHandler):
    """Looks through the statements of a work order: seconds."""

    task = "check"


class SpaceHandler(ReviewHandler):
    """Looks whether the tables have room for them: seconds as well."""

    task = "space"


class ExecuteHandler(ReviewHandler):
    """Executes a small order: milliseconds."""

    task = "execute"


ROUTES = [
    (r"/check", CheckHandler),
    (r"/space", SpaceHandler),
    (r"/execute", ExecuteHandler),
]
