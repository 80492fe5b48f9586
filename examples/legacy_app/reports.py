"""The report everybody waits for, and a summary as JSON."""

from __future__ import annotations

import datetime

import tornado.web
from sqlalchemy import extract, func, select
from sqlalchemy.orm import aliased

from examples.legacy_app.base import BaseHandler
from examples.legacy_app.models import FIRST_YEAR, YEARS, Sale


class ReportHandler(BaseHandler):
    @tornado.web.authenticated
    def get(self) -> None:
        year = int(self.get_argument("year", str(FIRST_YEAR)))
        earlier = aliased(Sale)
        # For each sale, read all of them.
        total = select(func.sum(earlier.cents)).where(earlier.day <= Sale.day)
        rows = (
            self.db.query(
                Sale.day,
                func.count(Sale.id).label("sales"),
                func.sum(Sale.cents).label("cents"),
                func.max(total.scalar_subquery()).label("running_total"),
            )
            .filter(Sale.day >= datetime.date(year, 1, 1))
            .filter(Sale.day <= datetime.date(year, 12, 31))
            .group_by(Sale.day)
            .order_by(Sale.day)
        )
        years = range(FIRST_YEAR, FIRST_YEAR + YEARS)
        self.render("report.html", year=year, years=years, rows=rows.all())


class SummaryHandler(BaseHandler):
    @tornado.web.authenticated
    def get(self) -> None:
        year = extract("year", Sale.day)
        rows = (
            self.db.query(year, func.count(Sale.id), func.sum(Sale.cents))
            .group_by(year)
            .order_by(year)
        )
        names = ("year", "sales", "cents")
        self.write_json([dict(zip(names, map(int, row))) for row in rows])
