"""Parts of pages that query for themselves, and what templates call."""

from __future__ import annotations

import tornado.web

from examples.legacy_app.models import Document, Message


def euros(handler: tornado.web.RequestHandler, cents: int) -> str:
    return f"{int(cents) / 100:,.2f} €"


class LatestMessages(tornado.web.UIModule):
    def render(self, limit: int = 3) -> str:
        db = self.handler.db  # type: ignore[attr-defined]
        latest = db.query(Message).order_by(Message.id.desc()).limit(limit)
        html = self.render_string("modules/messages.html", messages=latest.all()[::-1])
        return html.decode()


class MyDocuments(tornado.web.UIModule):
    def render(self) -> str:
        db = self.handler.db  # type: ignore[attr-defined]
        mine = db.query(Document).filter_by(owner=self.current_user)
        html = self.render_string(
            "modules/documents.html", documents=mine.order_by(Document.name).all()
        )
        return html.decode()


class ChatBox(tornado.web.UIModule):
    def render(self) -> str:
        return self.render_string("modules/chat_box.html").decode()

    def javascript_files(self) -> str:
        return "chat.js"
