"""A chat room: what is said is kept, and shown to all who are there."""

from __future__ import annotations

import datetime
from typing import ClassVar

import tornado.escape
import tornado.web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from examples.legacy_app.base import BaseHandler, session_per_event
from examples.legacy_app.models import Message

HISTORY = 50
NOT_LOGGED_IN = 4403  # a code of our own, as those from 4000 on are


class ChatHandler(BaseHandler):
    @tornado.web.authenticated
    def get(self) -> None:
        self.render("chat.html")


class ChatSocketHandler(BaseHandler, WebSocketHandler):
    present: ClassVar[set[ChatSocketHandler]] = set()
    author = ""

    @session_per_event
    def open(self) -> None:
        if self.current_user is None:
            self.close(NOT_LOGGED_IN, "Log in first")
            return
        self.author = self.current_user.name
        self.present.add(self)
        latest = self.db.query(Message).order_by(Message.id.desc()).limit(HISTORY)
        for message in reversed(latest.all()):
            self.write_message(self.as_json(message))

    @session_per_event
    def on_message(self, text: str) -> None:
        if not self.author or not text.strip():
            return
        message = Message(
            author=self.author, text=text[:500], sent_at=datetime.datetime.now()
        )
        self.db.add(message)
        self.db.commit()
        said = self.as_json(message)
        for socket in list(self.present):
            try:
                socket.write_message(said)
            except WebSocketClosedError:
                self.present.discard(socket)

    def on_close(self) -> None:
        self.present.discard(self)

    def as_json(self, message: Message) -> str:
        # Who enters while others talk may be sent a message twice, or too early:
        # the page goes by its number.
        html = self.render_string("modules/message.html", message=message)
        value = {"id": message.id, "author": message.author, "text": message.text}
        return tornado.escape.json_encode({**value, "html": html.decode()})
