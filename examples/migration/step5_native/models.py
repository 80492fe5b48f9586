"""What the desk does; the handlers and the nightly report call it."""

from typing import Any

from tornado_unblock import shim

from . import partner, store


@shim.dual
async def book(show: str, seats: int) -> dict[str, Any]:
    cents = seats * await store.price.aio(show)
    euros = cents * await partner.rate.aio("EUR") / 100
    code = await partner.reserve.aio(show, seats)
    async with store.transaction():
        number = await store.add_booking.aio(show, seats, code)
        await store.take_seats.aio(show, seats)
    return {"number": number, "code": code, "cents": cents, "euros": round(euros, 2)}


@shim.dual
async def takings() -> list[dict[str, Any]]:
    rate = await partner.rate.aio("EUR")
    return [
        {"title": title, "seats": seats, "euros": round(cents * rate / 100, 2)}
        for title, seats, cents in await store.sales.aio()
    ]
