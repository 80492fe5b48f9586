"""What the desk does; the handlers and the nightly report call it."""

from typing import Any

from . import partner, store


def book(show: str, seats: int) -> dict[str, Any]:
    cents = seats * store.price(show)
    euros = cents * partner.rate("EUR") / 100
    code = partner.reserve(show, seats)
    with store.transaction():
        number = store.add_booking(show, seats, code)
        store.take_seats(show, seats)
    return {"number": number, "code": code, "cents": cents, "euros": round(euros, 2)}


def takings() -> list[dict[str, Any]]:
    rate = partner.rate("EUR")
    return [
        {"title": title, "seats": seats, "euros": round(cents * rate / 100, 2)}
        for title, seats, cents in store.sales()
    ]
