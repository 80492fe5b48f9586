"""What somebody who is called out of bed reads on the page, from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Snapshot = dict[str, Any]

COUNTED = ("completed", "failed", "timed_out", "abandoned")


def lines(now: Snapshot, before: Snapshot) -> list[str]:
    """Return what the page shows, a line for each thing.

    Args:
        now: The page as JSON.
        before: The same a minute ago: counts are of the time between.
    """
    return [
        *_loops(now, before),
        *_executors(now),
        *_endpoints(now, before),
        *_bodies("running", now["bodies"]),
        *_bodies("abandoned", now["abandoned"]),
    ]


def rejected(now: Snapshot) -> int:
    """Return how many requests got no worker so far, whose clients had not left."""
    return sum(
        count
        for endpoint in now["endpoints"]
        for reason, count in endpoint["rejected"].items()
        if reason != "client_gone"
    )


def executor(now: Snapshot, name: str) -> dict[str, Any]:
    """Return the row of an executor; one that is not used yet has zeros."""
    unused = {"borrowed_tokens": 0, "waiting": 0, "total_tokens": 0}
    return next((e for e in now["executors"] if e["name"] == name), unused)


def counts(now: Snapshot) -> dict[tuple[str, str], dict[str, int]]:
    """Return what each endpoint has counted, by executor and name."""
    return {
        (row["executor"], row["name"]): {
            **{field: row[field] for field in COUNTED},
            "rejected": sum(row["rejected"].values()),
        }
        for row in now["endpoints"]
    }


def conclusion(now: Snapshot, before: Snapshot) -> str:
    """Return what follows from it, in a sentence or two."""
    if now["stalled"]:
        stall = now["stalled"][0]
        return f"The loop itself stands still: {stall['endpoint']}, {stall['what']}."
    db = executor(now, "db")
    if now["abandoned"]:
        return (
            f"Queries do not come back: bodies hang at {_place(now['abandoned'][0])}. "
            "They keep their workers."
        )
    turned_away = rejected(now) > rejected(before)
    if db["waiting"] and now["bodies"]:
        more = "more is asked than it serves" if turned_away else "orders wait"
        at = _place(now["bodies"][0])
        return f"The database is slow: workers of db are at {at}, and {more}."
    if turned_away:
        return "It is over: nobody waits, and no body hangs any more."
    return "All is well."


def _loops(now: Snapshot, before: Snapshot) -> Iterator[str]:
    was = {loop["name"]: loop for loop in before["loops"]}
    for loop in now["loops"]:
        busy, watched = loop["busy"], loop["watched"]
        if loop["name"] in was and busy is not None:
            busy -= was[loop["name"]]["busy"] or 0.0
            watched -= was[loop["name"]]["watched"]
        share = f"{min(1.0, busy / watched):.0%}" if busy and watched > 0 else "-"
        stalled = ", STALLED" if loop["stalled"] else ""
        yield f"event loop   {loop['name']}: {share} busy{stalled}"


def _executors(now: Snapshot) -> Iterator[str]:
    for row in now["executors"]:
        oldest = row["oldest_waiter"]
        waits = f", {row['waiting']} wait" if row["waiting"] else ""
        first = f", the first for {oldest:.1f} s" if waits and oldest else ""
        yield (
            f"executor     {row['name']}: {row['borrowed_tokens']} of "
            f"{row['total_tokens']} workers busy{waits}{first}"
        )


def _endpoints(now: Snapshot, before: Snapshot) -> Iterator[str]:
    was = counts(before)
    for key, numbers in counts(now).items():
        old = was.get(key, dict.fromkeys(numbers, 0))
        new = {field: number - old[field] for field, number in numbers.items()}
        ended = new.pop("completed")
        told = [f"{n} {field.replace('_', ' ')}" for field, n in new.items() if n]
        yield ", ".join([f"endpoint     {key[1]}: {ended} ended", *told])


def _bodies(kind: str, bodies: list[dict[str, Any]]) -> Iterator[str]:
    begun = [body for body in bodies if body["begun"]]
    if begun:
        oldest = begun[0]
        yield (
            f"{kind:12} {len(begun)}, the oldest {oldest['endpoint']} for "
            f"{oldest['seconds']:.1f} s, at {_place(oldest)}"
        )


def _place(body: dict[str, Any]) -> str:
    at = body["at"]
    if at is None:
        return "its end"
    return f"{at['file'].rpartition('/')[2]}:{at['line']} in {at['function']}"
