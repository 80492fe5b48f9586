"""The chat room, the same inline and unblocked: real sockets, one database."""

from __future__ import annotations

import asyncio
import re

import pytest
from tornado.httpclient import HTTPClientError

from examples.legacy_app.chat import NOT_LOGGED_IN
from tests.examples.legacy_app.support import Chatter, Office

NUMBER = 10


def test_everybody_hears(office: Office) -> None:
    """What one says reaches all who are there, also those who come later."""

    async def talk() -> None:
        alice = await office.visitor("alice").enter_chat()
        bob = await office.visitor("bob").enter_chat()
        for chatter, text in ((alice, "Hello?"), (bob, "<i>Here!</i>"), (alice, "Ah")):
            chatter.say(text)
            said = {await alice.hear(), await bob.hear()}
            assert said == {("alice" if chatter is alice else "bob", text)}
        await alice.leave()
        bob.say("Gone?")
        assert await bob.hear() == ("bob", "Gone?")
        carol = await office.visitor("carol").enter_chat()
        assert await carol.hear_many(4) == [
            ("alice", "Hello?"),
            ("bob", "<i>Here!</i>"),
            ("alice", "Ah"),
            ("bob", "Gone?"),
        ]
        await asyncio.gather(bob.leave(), carol.leave())

    visitor = office.visitor("alice")
    assert "Nobody has said anything yet." in visitor.get("/").text
    asyncio.run(talk())
    home = visitor.get("/").text
    assert re.findall("<b>(.*)</b> (.*)</li>", home) == [
        ("bob", "&lt;i&gt;Here!&lt;/i&gt;"),
        ("alice", "Ah"),
        ("bob", "Gone?"),
    ]
    assert '<span class="count">4</span>' in home


def test_order(office: Office) -> None:
    """Each one's words stay in their order, also when all talk at once."""

    async def talk() -> None:
        names = ("alice", "bob", "carol")
        chatters = [await office.visitor(name).enter_chat() for name in names]
        for chatter in chatters:
            await chatter.join()
        for number in range(NUMBER):
            for chatter in chatters:
                chatter.say(str(number))
        for chatter in chatters:
            heard = await chatter.hear_words(NUMBER * len(names))
            for name in names:
                words = [text for author, text in heard if author == name]
                assert words == [str(number) for number in range(NUMBER)]
        await asyncio.gather(*(chatter.leave() for chatter in chatters))

    asyncio.run(talk())


def test_guests_are_sent_away(office: Office) -> None:
    async def knock() -> Chatter:
        guest = await office.visitor().enter_chat()
        guest.say("Let me in")
        assert await guest.hear() is None
        await guest.leave()
        return guest

    guest = asyncio.run(knock())
    assert guest.socket.close_code == NOT_LOGGED_IN
    assert guest.socket.close_reason == "Log in first"


@pytest.mark.allow_log("tornado.access", "^403 GET /chat/socket")
def test_pages_of_other_sites_may_not_listen(office: Office) -> None:
    visitor = office.visitor("alice")

    async def listen() -> None:
        await visitor.enter_chat(Origin="https://x.test")

    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(listen())


def test_the_room_goes_on_when_someone_vanishes(office: Office) -> None:
    """A connection that breaks takes nobody with it."""

    async def talk() -> None:
        alice = await office.visitor("alice").enter_chat()
        bob = await office.visitor("bob").enter_chat()
        bob.say("I am")
        assert await alice.hear() == await bob.hear() == ("bob", "I am")
        protocol = bob.socket.protocol
        assert protocol is not None
        protocol._abort()
        for number in range(NUMBER):
            alice.say(str(number))
            assert await alice.hear() == ("alice", str(number))
        await asyncio.gather(alice.leave(), bob.leave())

    asyncio.run(talk())
