"""All stories in one page: what becomes of good, bad, hanging and missing ones."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import machine, page, story, story_process
from benchmarks.harness.story import Chart, Check, NoStoryError, Published, Story, Table
from benchmarks.harness.story_process import Outcome
from tests.examples.test_load_client_run import Program

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 100">'
    '<rect width="400" height="100" fill="#fff"/>'
    '<rect width="300" height="60" fill="#0b63a5"/></svg>'
)
STORY = Story(
    name="fakes.good",
    title="A <good> story & its title",
    problem="It was slow.",
    fix="Make it fast.",
    account=[Published("as written", "3.2 requests/s")],
    tables=[Table("Numbers", ["what", "how much"], [["this", "1"], ["that", "2"]])],
    charts=[Chart("A chart", SVG), Chart("Another chart", SVG)],
    findings=["It is 50 times faster."],
    commands=["python -m fakes.good"],
    versions={"tornado": "6.6.1", "python": "3", "missing": None},
    ok=True,
)

PRELUDE = """
import argparse, json, pathlib, sys, threading
parser = argparse.ArgumentParser()
parser.add_argument("--quick", action="store_true")
parser.add_argument("--check", action="store_true")
parser.add_argument("--json", type=pathlib.Path)
given = parser.parse_args()
story = json.loads(pathlib.Path(__file__).with_name("story.json").read_text())
"""
FAKES = {
    "good": "print('half way')\ngiven.json.write_text(json.dumps(story))",
    # What was expected did not come out.
    "bad": "story['ok'] = False\nstory['findings'] = ['Not as expected: 1 x']\n"
    "given.json.write_text(json.dumps(story))\nsys.exit(1)",
    "broken": "raise ZeroDivisionError('on the way')",
    "silent": "",
    "misshapen": "given.json.write_text('[]')",
    "liar": "given.json.write_text(json.dumps(story))\nsys.exit(3)",
    "stuck": "print('stuck now', flush=True)\nthreading.Event().wait()",
    "quick": "story['title'] = f'quick: {given.quick}, check: {given.check}'\n"
    "given.json.write_text(json.dumps(story))",
}


@pytest.fixture
def program(child_env: dict[str, str], tmp_path: Path) -> Program:
    """Return the program, with stories to run in a package called `fakes`."""
    package = tmp_path / "path" / "fakes"
    package.mkdir(parents=True)
    (package / "story.json").write_text(json.dumps(STORY.as_dict()))
    for name, code in FAKES.items():
        (package / f"{name}.py").write_text(PRELUDE + code)
    path = os.pathsep.join([child_env["PYTHONPATH"], str(package.parent)])
    return Program("examples.bench_app", tmp_path, {**child_env, "PYTHONPATH": path})


def run(program: Program, *names: str, options: tuple[str, ...] = ()) -> Any:
    """Run stories; return the exit code, the output and the page."""
    stories = ["--stories", *(f"fakes.{name}" for name in names)]
    output = program.folder / "deep" / "output"
    code, out, err = program.run(*stories, "--output", str(output), *options)
    assert err == ""
    program.assert_nothing_left()
    return code, out, (output / "index.html").read_text(encoding="utf-8")


def test_good_stories(program: Program) -> None:
    """Their output is passed on, and all they hand in is on the page."""
    code, out, text = run(program, "good", "quick")
    assert code == 0
    assert "half way" in out
    assert "It is 50 times faster." in out
    assert "All 2 stories came out as they should." in text
    assert "A &lt;good&gt; story &amp; its title" in text
    assert "quick: False" in text
    assert "3.2 requests/s" in text
    assert "how much" in text
    assert text.count('<img src="data:image/svg+xml') == 4
    assert f"Page: {program.folder / 'deep' / 'output' / 'index.html'}" in out


def test_quick(program: Program) -> None:
    """Stories are told to be quick, and the page says how to repeat that."""
    _, _, text = run(program, "quick", options=("--quick",))
    assert "quick: True, check: False" in text
    _, _, strict = run(program, "quick", options=("--check",))
    assert "quick: False, check: True" in strict
    assert "python -m examples.bench_app --stories fakes.quick" in text


@pytest.mark.parametrize(
    ("name", "complaint", "shown"),
    [
        ("bad", "Not every check held (exit code 1).", "Not as expected: 1 x"),
        ("broken", "It ended with exit code 1 and without results.", "on the way"),
        ("silent", "No results were written", "fakes.silent"),
        ("misshapen", "The results are misshapen", "fakes.misshapen"),
        ("liar", "Not every check held (exit code 3).", "liar"),
        ("missing", "It ended with exit code 1 and without results.", "No module"),
    ],
)
def test_stories_that_fail(
    program: Program, name: str, complaint: str, shown: str
) -> None:
    """They are shown as failed, with their last output, beside those that did not."""
    code, out, text = run(program, name, "good")
    assert code == 1
    assert "1 of 2 stories failed" in text
    assert complaint in text
    assert shown in text
    assert "It is 50 times faster." in text
    assert "FAILED" in out
    assert shown in out


def test_story_that_does_not_end(program: Program) -> None:
    """It is stopped, and the others are run."""
    code, _, text = run(program, "stuck", "good", options=("--limit", "3"))
    assert code == 1
    assert "It was stopped after 3 s." in text
    assert "It is 50 times faster." in text


def test_results_of_an_earlier_run(program: Program) -> None:
    """What a story of that name left before does not count as its results."""
    output = program.folder / "deep" / "output"
    output.mkdir(parents=True)
    (output / "fakes.silent.json").write_text(json.dumps(STORY.as_dict()))
    code, _, text = run(program, "silent")
    assert code == 1
    assert "No results were written" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption(program: Program, number: signal.Signals) -> None:
    """The story that runs is stopped, and none is begun."""
    options = ["--stories", "fakes.stuck", "fakes.good", "--output", "output"]
    with program.start(*options) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "stuck now" in line:
                break
        process.send_signal(number)
        rest, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    assert "half way" not in rest
    program.assert_nothing_left()


def test_folder_that_cannot_be_written(program: Program) -> None:
    """A message and an exit code, no traceback; no story is run."""
    (program.folder / "file").write_text("")
    code, out, err = program.run("--stories", "fakes.good", "--output", "file/x")
    assert (code, out) == (2, "")
    assert err.startswith("bench_app: Cannot write to file/x")
    assert "Traceback" not in err


# -- documents ---------------------------------------------------------------------


def test_document_is_read_as_written(tmp_path: Path) -> None:
    """And what else an example keeps in it is left alone."""
    file = tmp_path / "deep" / "story.json"
    STORY.write(file, numbers=[1, 2])
    assert story.read(file) == STORY
    assert json.loads(file.read_text(encoding="utf-8"))["numbers"] == [1, 2]


@pytest.mark.parametrize("field", dataclasses.fields(Story), ids=lambda each: each.name)
def test_document_that_lacks_something(
    tmp_path: Path, field: dataclasses.Field[Any]
) -> None:
    """Every field is asked for."""
    document = STORY.as_dict()
    del document[field.name]
    file = tmp_path / "story.json"
    file.write_text(json.dumps(document))
    with pytest.raises(NoStoryError, match=f"lack '{field.name}'"):
        story.read(file)


def test_failed_checks_say_so() -> None:
    """Their sentence alone would claim the contrary."""
    assert str(Check("10 of 10 succeed", True)) == "10 of 10 succeed"
    assert str(Check("9 of 10 succeed", False)) == "Not as expected: 9 of 10 succeed"


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        ([], "python x"),
        (
            ["--quick", "--json", "a b.json", "--clients", "3"],
            "python x --quick --clients 3",
        ),
        (["--json=file", "--chart", "a b"], "python x --chart 'a b'"),
    ],
)
def test_command(arguments: list[str], again: str) -> None:
    """What repeats a run does not write over its results."""
    assert story.typed_again("python x", arguments) == again


def test_names_of_stories() -> None:
    """A name is an example's; with a dot it is a module."""
    assert story_process.module("load_client") == "examples.load_client"
    assert story_process.module("mine.own") == "mine.own"


# -- the page ----------------------------------------------------------------------


def outcome(name: str, versions: dict[str, Any]) -> Outcome:
    told = dataclasses.replace(STORY, versions=versions)
    return Outcome(name, f"python -m {name}", 1.0, told, "", [])


def test_versions_of_all_stories() -> None:
    """Each once; what the machine's table says already is left out."""
    told = [
        outcome("a", {"tornado": "6.6.1", "database": "SQLite", "python": "3.11"}),
        outcome("b", {"tornado": "6.6.1", "database": "MariaDB", "loky": None}),
        Outcome("c", "python -m c", 1.0, None, "It failed.", []),
    ]
    assert page.shared_versions(told) == {
        "tornado": "6.6.1",
        "database": "SQLite, MariaDB",
    }


def test_output_is_escaped() -> None:
    """Whatever a story prints cannot become part of the page."""
    evil = "<script>alert(1)</script>"
    bad = Outcome("bad", evil, 1.0, None, evil, [evil])
    now = datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    text = page.page([bad], {"Cores": evil}, evil, now)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 5
    assert "2020-01-02 03:04 UTC" in text


def test_machine() -> None:
    """Every line says something."""
    told = machine.description()
    assert set(told) == {"Processor", "Cores", "Memory", "System", "Python"}
    assert all(told.values())


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("processor\t: 0\nmodel name\t: Some CPU: 4 GHz\n", "Some CPU: 4 GHz"),
        ("Hardware\t: Some board\n", "Some board"),
    ],
)
def test_processor(tmp_path: Path, text: str, model: str) -> None:
    """Linux names its model; other systems at least the architecture."""
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    assert machine.processor(file) == model
    assert machine.processor(tmp_path / "none")
