"""Files that users upload: on disk, with a row in the database each."""

from __future__ import annotations

import os
import urllib.parse

import tornado.web

from examples.legacy_app.base import BaseHandler
from examples.legacy_app.models import Document

CHUNK = 64 * 1024


class DocumentBaseHandler(BaseHandler):
    def path_of(self, document: Document) -> str:
        return os.path.join(self.settings["uploads"], f"document-{document.id}")


class DocumentsHandler(DocumentBaseHandler):
    @tornado.web.authenticated
    def get(self) -> None:
        documents = self.db.query(Document).order_by(Document.name, Document.id)
        self.render("documents.html", documents=documents)

    @tornado.web.authenticated
    def post(self) -> None:
        uploads = self.request.files.get("document")
        if not uploads:
            raise tornado.web.HTTPError(400, reason="No file was chosen")
        for upload in uploads:
            document = Document(
                owner=self.current_user, name=upload.filename, size=len(upload.body)
            )
            self.db.add(document)
            self.db.flush()  # it has a number now
            with open(self.path_of(document), "wb") as file:
                file.write(upload.body)
        self.db.commit()
        self.redirect("/documents")


class DocumentHandler(DocumentBaseHandler):
    @tornado.web.authenticated
    def get(self, number: str) -> None:
        document = self.db.get(Document, int(number))
        if document is None:
            raise tornado.web.HTTPError(404)
        name = urllib.parse.quote(document.name)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{name}")
        with open(self.path_of(document), "rb") as file:
            while True:
                chunk = file.read(CHUNK)
                if not chunk:
                    break
                self.write(chunk)
                self.flush()
