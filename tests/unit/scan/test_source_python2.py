"""Python 2: what is mended, what is left out, and what is said of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tornado_unblock._scan.source import parse

AROUND = """
import time
class Page(Base):
    def get(self):
        try:
            load()
{odd}
        time.sleep(1)
    def post(self):
        print "x"
        time.sleep(2)
"""
MENDED = [
    "        except Exception, e: print e",
    "        except (A, B), e: print 'a', e,",
    "        except A, e: raise ValueError, 'x'",
    "        except A:\n            raise ValueError, 'x' % (1, 2)",
    "        except A:\n            raise ValueError, 'x', trace",
    "        except A:\n            raise ValueError, 'x'  # (why",
    "        except A:\n            print 'x'  # (why",
    '        except A:\n            raise ValueError, "x %s" % (1,\n                2)',
    "        except A:\n            raise ValueError, 'x' \\\n                'y'",
    '        except A:\n            print "%s) %s" % (1,\n                2)',
    "        except A:\n            print 'x %(y)s' % {\n                'y': 1}",
    "        except A:\n            print '''x\n  y'''",
    '        except A:\n            print """x\n  y""" % 1',
    "        except A:\n            print >>f, 'x (', \\\n                'y'",
]


@pytest.mark.parametrize("odd", MENDED)
def test_mended(odd: str) -> None:
    """Whatever stands over several lines, or several on one, costs nothing else."""
    source = parse(Path("old.py"), AROUND.format(odd=odd))
    assert source.tree is not None
    assert source.problem is not None
    assert source.problem.message.endswith("read as far as it goes")
    text = ast.unparse(source.tree)
    assert "time.sleep(1)" in text
    assert "time.sleep(2)" in text


def test_a_function_is_left_out() -> None:
    """Where a line cannot be dropped alone, its function is, and no other one."""
    odd = "        except A:\n            x = (1,\n        $ 1\n            pass"
    source = parse(Path("old.py"), AROUND.format(odd=odd))
    assert source.tree is not None
    text = ast.unparse(source.tree)
    assert "class Page(Base)" in text
    assert "time.sleep(2)" in text
    assert "def get(" in text


def test_only_classes_are_said_to_be_read() -> None:
    """The message does not promise bodies that nobody has seen."""
    odd = "print 'x'\nclass A(B):\n    def get(self):\n        x = 1\n" + "$ 1\n" * 99
    problem = parse(Path("old.py"), odd).problem
    assert problem is not None
    assert problem.kind == "python2"
    assert problem.message.endswith(
        "only the names of its classes, and imports, are read"
    )
