"""Logging in and out, and the first page."""

from __future__ import annotations

import datetime

import tornado.web

from examples.legacy_app.base import BaseHandler
from examples.legacy_app.models import User


class HomeHandler(BaseHandler):
    @tornado.web.authenticated
    def get(self) -> None:
        self.render("home.html")


class LoginHandler(BaseHandler):
    def get(self) -> None:
        if self.current_user:
            self.redirect(self.next_page())
            return
        self.show_form()

    def post(self) -> None:
        name = self.get_body_argument("name")
        user = self.db.query(User).filter_by(name=name).first()
        if user is None or not user.check_password(self.get_body_argument("password")):
            self.set_status(403)
            return self.show_form("Wrong name or password.")
        user.last_login = datetime.datetime.now()
        self.db.commit()
        self.set_secure_cookie("user", str(user.id), httponly=True)
        self.redirect(self.next_page())

    def show_form(self, error: str = "") -> None:
        self.render("login.html", error=error, next=self.next_page())

    def next_page(self) -> str:
        page = self.get_argument("next", "/")
        # Only pages of this site.
        return page if page.startswith("/") and page[1:2] not in ("/", "\\") else "/"


class LogoutHandler(BaseHandler):
    def post(self) -> None:
        self.clear_cookie("user")
        self.redirect("/login")


class PingHandler(BaseHandler):
    def get(self) -> None:
        self.write("pong")
