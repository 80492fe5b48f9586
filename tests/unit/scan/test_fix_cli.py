"""`fix` as a command: diffs, writing, and what the rules are told by a scan."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from tests.unit.scan.conftest import WriteFiles
from tests.unit.scan.corpus_runner import CORPUS
from tornado_unblock._scan.fix_cli import CHANGES, UNCHANGED, UNREAD, WRONG, main, write
from tornado_unblock._scan.fixes import RULES
from tornado_unblock._scan.source import read

APP = """
#: file app.py
import tornado.web
from models import load, Store
class Base(tornado.web.RequestHandler):
    def prepare(self):
        load()
class Slow(Base):
    def get(self):
        Store().read()
class Quick(tornado.web.RequestHandler):
    def get(self):
        self.write("quick")
class Later(tornado.web.RequestHandler):
    async def get(self):
        load()
app = tornado.web.Application([("/", Slow), ("/q", Quick), ("/l", Later)])
#: file models.py
import requests
def load():
    return requests.get("x")
class Store:
    def read(self):
        open("x")
"""


def test_shows_and_writes(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `--write` a diff is shown; with it the file is changed, once."""
    folder = code_base(APP)
    before = (folder / "app.py").read_text()
    assert main([str(folder)]) == CHANGES
    assert "+app = unblock_application(" in capsys.readouterr().out
    assert (folder / "app.py").read_text() == before
    assert main([str(folder), "--write"]) == UNCHANGED
    assert "app = unblock_application(" in (folder / "app.py").read_text()
    capsys.readouterr()
    assert main([str(folder)]) == UNCHANGED
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("rule", ["application", "class"])
def test_coroutines_still_block(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    """What no rule can move is named; a coroutine that does not block is not."""
    more = "".join(
        f"class More{n}(Later):\n    async def post(self):\n        load()\n"
        for n in range(8)
    )
    quick = "class Quick2(Later):\n    async def get(self):\n        pass\n"
    folder = code_base(APP.replace("app = ", more + quick + "app = "))
    main([str(folder), "--rule", rule])
    err = capsys.readouterr().err
    assert "9 methods of handlers will still block" in err
    assert ": Later.get, More0.post, " in err
    assert "More6.post, ...." in err
    assert "Quick2" not in err
    main([str(folder), "--rule", "dual-leaves"])
    assert "still block" not in capsys.readouterr().err


def test_class(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """Handlers with sync methods that block are decorated, others not."""
    folder = code_base(APP)
    assert main([str(folder), "--write", "--rule", "class"]) == UNCHANGED
    text = (folder / "app.py").read_text()
    assert text.count("@unblock") == 1
    assert "@unblock\nclass Slow" in text
    capsys.readouterr()


def test_ui_modules(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """They run where their handlers do: it is those that are decorated."""
    more = (
        "class Rows(tornado.web.UIModule):\n    def render(self):\n        load()\n"
        "class Page(Base):\n    def get(self):\n        self.render('page.html')\n"
    )
    folder = code_base(APP.replace("class Quick", more + "class Quick"))
    main([str(folder), "--rule", "class"])
    added = capsys.readouterr().out.split("+@unblock\n")[1:]
    assert [text.split("(")[0].strip() for text in added] == [
        "class Slow",
        "class Page",
    ]


def test_after_the_handlers(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """What workers alone call may refuse the loop thread; what others call may not."""
    folder = code_base(APP)
    main([str(folder), "--write", "--rule", "class"])
    capsys.readouterr()
    rules = ["--rule", "shim-imports", "--rule", "dual-leaves"]
    assert main([str(folder), *rules]) == CHANGES
    out, err = capsys.readouterr()
    assert "-import requests" not in out
    assert "requests is called on the loop thread" in err
    assert "load: it is called on the loop thread" in err
    assert "+    @shim.dual" in out


def test_what_is_a_leaf(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """What blocks itself, and is no method of a handler; not what calls that."""
    folder = code_base(
        """
        import requests
        import tornado.web
        from tornado_unblock import unblock
        def load():
            return fetch()
        def fetch():
            return requests.get("x")
        class A(tornado.web.RequestHandler):
            @unblock
            def get(self):
                self.help()
            def help(self):
                requests.get("x")
                load()
        """
    )
    assert main([str(folder), "--rule", "dual-leaves"]) == CHANGES
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("+@shim.dual") == 1
    assert "+@shim.dual\n def fetch" in out


def test_lines_that_moved(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """After one rule has changed a file, none goes by the lines of before."""
    folder = code_base(APP)
    rules = ["--rule", "application", "--rule", "class"]
    assert main([str(folder), *rules]) == CHANGES
    assert "+@unblock" not in capsys.readouterr().out


ALL_RULES = [word for name in RULES for word in ("--rule", name)]


def test_a_rule_sees_what_the_one_before_has_made(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several rules at once are the same as one after the other."""
    old = "class Old(Base):\n    @tornado.web.asynchronous\n    def get(self):\n"
    text = APP.replace("class Quick", f"{old}        pass\nclass Quick")
    folder = code_base(text)
    rules = ["--rule", "legacy", "--rule", "class", "--rule", "dual-leaves"]
    assert main([str(folder), *rules, "--write"]) == UNCHANGED
    at_once = (folder / "app.py").read_text()
    assert "@unblock\nclass Slow(Base)" in at_once
    assert "shim.legacy" in at_once
    assert "@shim.dual\n    def read(" in (folder / "models.py").read_text()
    code_base(text)
    for number in range(0, len(rules), 2):
        main([str(folder), *rules[number : number + 2], "--write"])
    assert (folder / "app.py").read_text() == at_once


@pytest.mark.parametrize("text", sorted(CORPUS.rglob("*.txt")), ids=lambda p: p.stem)
def test_nothing_is_left_for_a_second_time(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str], text: Path
) -> None:
    """All rules, on every code base of the corpus: it is Python, and stays as it is."""
    folder = code_base(text.read_text())
    parsed = [p for p in folder.rglob("*.py") if parses(p)]
    main([str(folder), *ALL_RULES, "--write"])
    assert [p for p in folder.rglob("*.py") if parses(p)] == parsed
    capsys.readouterr()
    main([str(folder), *ALL_RULES])
    assert capsys.readouterr().out == ""


def parses(path: Path) -> bool:
    return read(path).problem is None


def test_application_elsewhere(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """A subclass of another file is found; one that is unblocked elsewhere is left."""
    folder = code_base(
        """
        #: file lib/__init__.py
        #: file lib/mine.py
        import tornado.web
        class Mine(tornado.web.Application): pass
        #: file one.py
        from lib.mine import Mine
        app = Mine([])
        #: file two.py
        from lib.mine import Mine
        other = Mine([])
        #: file main.py
        from tornado_unblock import unblock_application
        import two
        unblock_application(two.other)
        """
    )
    assert main([str(folder)]) == CHANGES
    out, err = capsys.readouterr()
    assert "+app = unblock_application(Mine([]))" in out
    assert "other" not in out
    assert "two.py:2: application: not changed" in err


def test_legacy(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules that need no scan do without; Python 2 and broken files are told."""
    folder = code_base(
        """
        #: file a.py
        from tornado.ioloop import IOLoop
        IOLoop.instance().start()
        #: file b.py
        print "x"
        #: file c.py
        def f(:
        """
    )
    assert main([str(folder), "--rule", "legacy"]) == UNREAD
    out, err = capsys.readouterr()
    assert "+IOLoop.current().start()" in out
    assert "is Python 2" in err
    assert "cannot be parsed" in err


def test_form_feeds(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """A diff has the lines of the file, also where a page ends."""
    folder = code_base(
        """
        from tornado.ioloop import IOLoop
        PAGE
        IOLoop.instance().start()
        """
    )
    # Afterwards: newer Pythons take it for space at the end of a line.
    for path in folder.rglob("*.py"):
        path.write_text(path.read_text().replace("PAGE", "\f"))
    assert main([str(folder), "--rule", "legacy"]) == CHANGES
    lines = capsys.readouterr().out.split("\n")
    assert "\n".join(lines[2:]) == (
        "@@ -1,3 +1,3 @@\n from tornado.ioloop import IOLoop\n \f\n"
        "-IOLoop.instance().start()\n+IOLoop.current().start()\n"
    )


def test_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is not there is told."""
    assert main([str(tmp_path / "nowhere")]) == WRONG
    assert "there is no" in capsys.readouterr().err


def test_write_keeps(tmp_path: Path) -> None:
    """Encoding, line ends, mode and links stay."""
    path = tmp_path / "real.py"
    path.write_bytes("# coding: latin-1\r\nx = 'é'\r\n".encode("latin-1"))
    path.chmod(0o755)
    link = tmp_path / "link.py"
    link.symlink_to(path)
    write(link, "# coding: latin-1\ny = 'é'\n")
    assert path.read_bytes() == "# coding: latin-1\r\ny = 'é'\r\n".encode("latin-1")
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert sorted(os.listdir(tmp_path)) == ["link.py", "real.py"]


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        (b"a\r\nb\nc\n", "a\nx\nc\n", b"a\r\nx\nc\n"),
        (b"a\r\nb\nc\n", "x\nb\nc\n", b"x\r\nb\nc\n"),
        (b"a\nb\r\nc", "a\nb\nx\ny\nc", b"a\nb\r\nx\ny\nc"),
        (b"a\r\nb\nc\n", "n\na\nb\nc\nm\n", b"n\na\r\nb\nc\nm\n"),
        (b"a\r\nb\nc\n", "c\n", b"c\n"),
        (b"a\rb\r\nc\n", "a\nb\nd\n", b"a\rb\r\nd\n"),
        (b"a\rb\r", "a\nx\nb\n", b"a\rx\rb\r"),
        (b"a", "x\na", b"x\na"),
        (b"\xef\xbb\xbfa\r\n", "x\na\n", b"\xef\xbb\xbfx\r\na\r\n"),
    ],
)
def test_line_ends(tmp_path: Path, old: bytes, new: str, written: bytes) -> None:
    """Lines that stay end as they did, whichever way; new ones as most do."""
    path = tmp_path / "a.py"
    path.write_bytes(old)
    write(path, new)
    assert path.read_bytes() == written


def test_mixed_line_ends(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that ends in another way is no reason to change the others."""
    folder = code_base("x = 1")
    (folder / "app.py").write_bytes(
        b"from tornado.ioloop import IOLoop\r\nIOLoop.instance()\nx = 1\n"
    )
    assert main([str(folder), "--rule", "legacy", "--write"]) == UNCHANGED
    assert (folder / "app.py").read_bytes() == (
        b"from tornado.ioloop import IOLoop\r\nIOLoop.current()\nx = 1\n"
    )
    capsys.readouterr()


LETTERS = """
#: file a.py
from tornado.ioloop import IOLoop
IOLoop.instance()  # é
#: file b.py
from tornado.ioloop import IOLoop
IOLoop.instance()
"""


def test_letters_that_cannot_be_printed(
    code_base: WriteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are printed as numbers, and the files are written."""
    folder = code_base(LETTERS)
    printed = io.BytesIO()
    out = io.TextIOWrapper(printed, encoding="cp1251")
    monkeypatch.setattr("sys.stdout", out)
    assert main([str(folder), "--rule", "legacy", "--write"]) == UNCHANGED
    out.flush()
    assert b"+IOLoop.current()  # \\xe9" in printed.getvalue()
    for name in ("a.py", "b.py"):
        assert "current()" in (folder / name).read_text(encoding="utf-8")


def test_nobody_reads_what_is_printed(
    code_base: WriteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then all files are written."""
    folder = code_base(LETTERS)

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    main([str(folder), "--rule", "legacy", "--write"])
    assert "current()" in (folder / "b.py").read_text()


def test_one_file_cannot_be_written(
    code_base: WriteFiles,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told, and the others are written."""
    folder = code_base(LETTERS)

    def refuse(path: Path, text: str) -> None:
        if path.name == "a.py":
            raise PermissionError("no")
        write(path, text)

    monkeypatch.setattr("tornado_unblock._scan.fix_cli.write", refuse)
    assert main([str(folder), "--rule", "legacy", "--write"]) == UNREAD
    assert "a.py: cannot be written: no" in capsys.readouterr().err
    assert "current()" in (folder / "b.py").read_text()


def test_called_by_another_file(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """A verb that a class of another file calls stays what that can call."""
    verb = "@web.asynchronous\n    @gen.engine\n    def {}(self):\n        {}\n"
    base = "from tornado import gen, web\nclass B(web.RequestHandler):\n"
    body = "yield\n        self.finish()"
    for name in ("get", "put", "post", "head"):
        base += f"    {verb.format(name, body)}"
    folder = code_base(
        "#: file base.py\n" + base + "#: file child.py\n"
        "import base\nclass C(base.B):\n"
        "    def get(self): super(C, self).get()\n"
        "    def put(self): base.B.put(self)\n"
        "    def prepare(self): self.post()\n"
    )
    assert main([str(folder), "--rule", "legacy", "--write"]) == UNCHANGED
    text = (folder / "base.py").read_text()
    assert text.count("async def") == text.count("async def head") == 1
    err = capsys.readouterr().err
    for line, name in enumerate(("get", "put", "post"), 3):
        why = f"{name}: one of this name is called in {folder / 'child.py'}:{line}"
        assert f"legacy: not changed: {why}\n" in err


def test_no_place_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file that cannot take the place of the old one goes."""
    path = tmp_path / "real.py"
    path.write_text("x = 1\n")

    def refuse(*paths: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(PermissionError):
        write(path, "y = 1\n")
    assert path.read_text() == "x = 1\n"
    assert os.listdir(tmp_path) == ["real.py"]


def test_write_fails_whole(tmp_path: Path) -> None:
    """What cannot be written leaves the file, and nothing else, behind."""
    path = tmp_path / "real.py"
    path.write_bytes(b"# coding: ascii\nx = 1\n")
    with pytest.raises(UnicodeEncodeError):
        write(path, "# coding: ascii\nx = 'é'\n")
    assert path.read_bytes() == b"# coding: ascii\nx = 1\n"
    assert os.listdir(tmp_path) == ["real.py"]
