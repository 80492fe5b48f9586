"""What is followed, and what is not: one small handler for each form."""

from __future__ import annotations

import textwrap
from typing import Callable

import pytest

from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]
HEAD = """
import celery
import contextlib
import dataclasses
import functools
import importlib
import other
import requests
import typing
from typing import Optional
import tornado.web
from tornado.concurrent import run_on_executor
from tornado.web import RequestHandler

def slow(*args, **kwargs):
    return requests.get("x")

def quick(*args, **kwargs):
    return 1

def recursive(f):
    recursive(lambda: f())
    return f()

def deep(n):
    return deep([n])

@contextlib.contextmanager
def made():
    yield slow

def nest(x):
    nest(Wrap(x))
    nest([x])

class Wrap:
    def __init__(self, x):
        self.x = x

def unbound():
    super().go()

class Store:
    def go(self):
        slow()

@dataclasses.dataclass
class Record:
    f: object = None

@celery.Celery().task
def task():
    slow()

@run_on_executor
def moved():
    slow()
"""
#: Bodies of `def get(self)`, and whether they reach `requests.get`.
BODIES = {
    "slow()": True,
    "quick()": False,
    "quick(slow)": False,
    "(lambda: slow())()": True,
    "f = slow if self else quick; f()": True,
    "f = None or slow; f()": True,
    "[f() for f in (quick, slow)]": True,
    "{'a': f() for f in [slow]}": True,
    "{f() for f in {slow}}": True,
    "list(f() for f in [*[slow]])": True,
    "a, b = slow, quick; a()": True,
    "a, b = slow, quick; b()": False,
    "a = [quick, slow]; a[1]()": True,
    "a = [quick, slow]; a[0]()": False,
    "a = [quick, slow]; a[-1]()": True,
    "a = [quick, slow]; a[self.n]()": True,
    "a = [quick] + [slow]; a[self.n]()": True,
    "d = {'a': slow, 'b': quick}; d['a']()": True,
    "d = {'a': slow, 'b': quick}; d['b']()": False,
    "d = {'a': slow, 'b': quick}; d[self.n]()": True,
    "d = {'a': slow}; d.get('a')()": True,
    "d = {'a': quick}; d.get('c', slow)()": True,
    "d = {**{'a': slow}}; d['a']()": True,
    "d = {1: slow}; d[1]()": True,
    "d = dict(a=slow); d['a']()": True,
    "d = dict({'a': slow}); d['a']()": True,
    "d = {}; d['a'] = slow; d['a']()": True,
    "d = {}; d[self.n] = slow; d['a']()": True,
    "for f in {'a': slow}.values(): f()": True,
    "for name, f in {'a': slow}.items(): f()": True,
    "for name in {'slow': 1}: getattr(self, name)()": True,
    "d = {'a': slow}.copy(); d['a']()": True,
    "functools.partial(slow, 1)()": True,
    "functools.partial(slow, 1)": False,
    "sorted([1], key=slow)": True,
    "list(map(slow, [1]))": True,
    "list(map(requests.get, ['x']))": True,
    "(f := slow)()": True,
    "getattr(self, 'slow')()": True,
    "getattr(self, 'sl' + 'ow')()": True,
    "getattr(self, 'sl' + self.n)()": True,
    "getattr(self, 'sl%s' % self.n)()": True,
    "getattr(self, 'sl{}'.format(self.n))()": True,
    "getattr(self, f'sl{self.n}')()": True,
    "getattr(self, f'qu{self.n}')()": False,
    "getattr(self, self.n, slow)()": True,
    "getattr(requests, self.n)('x')": True,
    "getattr(self)": False,
    "type(self).slow(self)": True,
    "self.__class__.slow(self)": True,
    "importlib.import_module('other').go()": True,
    "__import__('other').go()": True,
    "from other import go; go()": True,
    "from other import *; go()": True,
    "import other as o; o.go()": True,
    "from other import nothing; nothing()": False,
    "def inner(): slow()\n    inner()": True,
    "def inner(): slow()": False,
    "def inner(f): f()\n    inner(slow)": True,
    "def inner(*fs): fs[0]()\n    inner(slow)": True,
    "def inner(**fs): fs['f']()\n    inner(f=slow)": True,
    "def inner(f=slow): f()\n    inner()": True,
    "def inner(*, f=slow): f()\n    inner()": True,
    "def inner(*, f): f()\n    inner(f=slow)": True,
    "def inner(a, f): f()\n    inner(*[1, slow])": True,
    "def inner(a, f): f()\n    x = [slow] * 2\n    inner(*x)": False,
    "def inner(a, f): f()\n    x = {slow}\n    inner(*x)": True,
    "def inner(a, f): f()\n    inner(**{'f': slow})": True,
    "def make(): return slow\n    make()()": True,
    "def make():\n        yield slow\n    next(make())()": True,
    "def make():\n        yield slow\n    for f in make(): f()": True,
    "class C:\n        def __call__(self): slow()\n    C()()": True,
    "class C:\n        def __init__(self): slow()\n    C()": True,
    "class C:\n        def __enter__(self): slow()\n    with C(): pass": True,
    "class C:\n        def __enter__(self): return slow\n    with C() as f: f()": True,
    "class C:\n        def __iter__(self): slow()\n    for x in C(): pass": True,
    "class C:\n        def __getitem__(self, k): slow()\n    C()[1]": True,
    "class C:\n        def __getitem__(self, k): return slow\n    C()[1]()": True,
    "class C:\n        f = staticmethod(slow)\n    C.f()": True,
    "class C:\n        @classmethod\n        def f(cls): slow()\n    C.f()": True,
    "class C:\n        @classmethod\n        def f(cls): slow()\n    C().f()": True,
    "class C:\n        @staticmethod\n        def f(): slow()\n    C().f()": True,
    "class C(dict):\n        def f(self): slow()\n    C().f()": True,
    "class C:\n        @property\n        def f(self): return slow\n    C().f()": True,
    "class C:\n        @property\n        def f(self): return slow()\n    C().f": True,
    "class C:\n        def f(self): slow()\n    C.f": False,
    "class C(requests.Session): pass\n    C().get('x')": True,
    "class C(requests.Session):\n        def get(self, u): 1\n    C().get('x')": False,
    "class C:\n        def __getattr__(self, n): return slow\n    C().anything()": True,
    "class M(type): pass\n    class C(metaclass=M):\n        f = slow\n    C.f()": True,
    "s = requests.Session(); s.post('x')": True,
    "with requests.Session() as s: s.post('x')": True,
    "x: requests.Session = self.n; x.get('x')": True,
    "x: 'requests.Session' = self.n; x.get('x')": True,
    "def inner(s: requests.Session): s.get('x')\n    inner(self.n)": True,
    "def inner() -> requests.Session: ...\n    inner().get('x')": True,
    "def inner(s: 'requests Session'): s.get('x')\n    inner(self.n)": False,
    "try:\n        import n\n    except OSError:\n        n = slow\n    n()": True,
    "class C:\n        def __get__(self, o, t): return slow\n"
    "    class D:\n        f = C()\n    D().f()": True,
    "def deco(f):\n        class C:\n            def __init__(self, g): self.g = g\n"
    "            def __call__(self): self.g()\n        return C(f)\n"
    "    @deco\n    def inner(): slow()\n    inner()": True,
    "class B:\n        def __init__(self, f): self.f = f\n"
    "    class C(B):\n        def __init__(self): super().__init__(slow)\n"
    "        def go(self): self.f()\n    C().go()": True,
    "class B:\n        def go(self): slow()\n"
    "    class C(B):\n        def go(self): super(C, self).go()\n    C().go()": True,
    "class B:\n        @classmethod\n        def go(cls): slow()\n"
    "    class C(B):\n        @classmethod\n        def go(cls): super().go()\n"
    "    C.go()": True,
    "class C(requests.Session):\n        def go(self): super().get('x')\n"
    "    C().go()": True,
    "class B:\n        def __init__(self, f): self.f = f\n"
    "    class C(B):\n        def __init__(self): B.__init__(self, slow)\n"
    "        def go(self): self.f()\n    C().go()": True,
    "with contextlib.closing(self.settings['x'].go()) as c: c.execute('y')": True,
    "super().nothing()": False,
    "from requests import *\n    get('x')": True,
    "from requests import *\n    from json import *\n    get('x')": False,
    "from other import *\n    _hidden()": False,
    "import lib.mod\n    lib.mod.go()": True,
    "class C(3): pass\n    C().go()": False,
    "getattr(5, 'x')()": False,
    "getattr(other, 'g' + self.n)()": True,
    "class C:\n        pass\n    class D: pass\n    C.g = quick\n"
    "    D.g = slow\n    C().g()": False,
    "class C:\n        pass\n    class D(C): pass\n    C.h = slow\n    D.h()": True,
    "for f in open('y'): f()": True,
    "for f in Store(): f()": False,
    "with Store() as s: s.go()": False,
    "with made() as f: f()": True,
    "nest(Store())": False,
    "Store()(1)": False,
    "self.application.settings.go()": False,
    "unbound()": False,
    "(lambda: super())().x()": False,
    "class C:\n        pass\n    C.f = slow\n    C().f()": True,
    "class C:\n        pass\n    c = C()\n    c.f = slow\n    c.f()": True,
    "import types\n    n = types.SimpleNamespace()\n    n.f = slow\n    n.f()": True,
    "class C:\n        __slots__ = ()\n    C().__dict__": False,
    "class C:\n        def __getattr__(self, n): slow()\n    C().__x__": False,
    "x: Optional[requests.Session] = self.n; x.get('x')": True,
    "x: list[requests.Session] = self.n; x.get('x')": False,
    "x: requests.Session | None = self.n; x.get('x')": True,
    "x: Store = self.n; x.go()": True,
    "x: typing.Any = self.n; x.get('x')": False,
    "Record(slow).f()": True,
    "Record(f=slow).f()": True,
    "Record().f()": False,
    "session.query(Store).filter().all()": True,
    "session.query(Store).filter()": False,
    "session.query('SELECT').all()": False,
    "for a, *b in [(slow, 1)]: a()": True,
    "(a, b), c = (slow, 1), 2; a()": False,
    "x = [*self.n]; x[5]()": False,
    "async def inner():\n        async for f in g(): f()\n    inner()": False,
    "with open('x'): pass": True,
    "recursive(slow)": True,
    "deep(3)": False,
    "getattr(other, self.n)()": True,
    "a = b = slow; b()": True,
    "a += slow()": True,
    "self.n += slow()": True,
    "task.delay()": True,
    "task()": True,
    "moved()": False,
    "self.current_user": False,
    "self.locale": False,
    "while slow(): pass": True,
    "assert slow()": True,
    "x = 1 if slow() else 2": True,
    "x = f'{slow()}'": True,
    "x[slow()] = 1": True,
    "del x[slow()]": True,
    "raise Error(slow())": True,
    "unknown(slow)": False,
    "self.application.start(slow)": False,
    "def inner(f, g=1): f()\n    inner()": False,
    "@other\n    def inner(): slow()\n    inner()": True,
    "class C:\n        settings = staticmethod(slow)\n    C().settings()": True,
    "class C:\n        def __getattr__(self, n): return slow\n    C().__x__()": False,
    "class C(other): pass\n    C().go()": False,
    "class C: pass\n    other.hook = slow\n    C().hook()": False,
    "with slow as f: f()": False,
    "def inner(f): f()\n    inner(**[slow])": False,
    "class C:\n        __call__ = requests.get\n    C()('x')": True,
    "class C:\n        __call__ = requests.Session\n    C()().get('x')": True,
    "class C:\n        __call__ = requests.codes\n    C()()": False,
    "class C:\n        @run_on_executor\n        def __call__(self): slow()\n"
    "    C()()": False,
    "class C(list): pass\n    C()[1]": False,
    "class C(requests.Session): pass\n    with C() as s: s.get('x')": True,
    "class B:\n        @property\n        def row(self): return slow()\n"
    "    class C(B):\n        @classmethod\n        def go(cls): super().row\n"
    "    C.go()": False,
    "def inner(f, n): f()\n    "
    + "; ".join(f"inner(quick, '{n}')" for n in range(210))
    + "; inner(slow, 'x')": True,
    "getattr(self)()": False,
    "getattr(slow, self.n)()": False,
    "async def inner():\n        yield slow\n"
    "    async def outer():\n        async for f in inner(): f()\n    outer()": True,
}


OTHER = "import requests\ndef go():\n    requests.get('x')\n_hidden = go\n"


def indented(body: str) -> str:
    """Return a body whose further lines are written with the indent of a method's."""
    first, *others = body.split("\n")
    return "\n".join([first, *(line[4:] for line in others)])


@pytest.mark.parametrize("body", BODIES)
def test_body(scanned: Scanned, body: str) -> None:
    """The body reaches the call, or does not."""
    text = f"#: file app.py\n{HEAD}\nclass A(RequestHandler):\n    slow = slow\n"
    text += f"    def get(self):\n{textwrap.indent(indented(body), ' ' * 8)}\n"
    text += f"#: file other.py\n{OTHER}#: file lib/mod.py\n{OTHER}"
    report = scanned(text)
    assert not report.problems
    assert bool(report.findings) is BODIES[body]
