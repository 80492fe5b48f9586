"""Routes and settings."""

from __future__ import annotations

import os
import secrets

import tornado.web

from examples.legacy_app import accounts, base, chat, documents, modules, reports

HERE = os.path.dirname(__file__)


def make_app(uploads: str) -> tornado.web.Application:
    """Return the application, which stores uploaded files in a directory."""
    return tornado.web.Application(
        [
            (r"/", accounts.HomeHandler),
            (r"/home", tornado.web.RedirectHandler, {"url": "/"}),
            (r"/login", accounts.LoginHandler),
            (r"/logout", accounts.LogoutHandler),
            (r"/ping", accounts.PingHandler),
            (r"/documents", documents.DocumentsHandler),
            (r"/documents/(\d+)", documents.DocumentHandler),
            (r"/report", reports.ReportHandler),
            (r"/api/summary", reports.SummaryHandler),
            (r"/chat", chat.ChatHandler),
            (r"/chat/socket", chat.ChatSocketHandler),
        ],
        default_handler_class=base.NotFoundHandler,
        template_path=os.path.join(HERE, "templates"),
        static_path=os.path.join(HERE, "static"),
        ui_modules=modules,
        ui_methods={"euros": modules.euros},
        login_url="/login",
        cookie_secret=secrets.token_hex(32),
        xsrf_cookies=True,
        uploads=uploads,
    )
