"""Django's sync views."""

from __future__ import annotations

import secrets

from django.conf import settings  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from benchmarks.contenders.bodies import answer
from benchmarks.contenders.by_hand import work

settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_hex(),
)


def trivial(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse(work())


def wait(request: HttpRequest, seconds: str) -> HttpResponse:
    """Answer after so many seconds."""
    return HttpResponse(work(float(seconds)))


def body(request: HttpRequest, name: str) -> HttpResponse:
    """Do what users do."""
    return HttpResponse(answer(name))


urlpatterns = [
    path("trivial", trivial),
    path("wait/<seconds>", wait),
    path("body/<name>", body),
]
application = get_wsgi_application()
