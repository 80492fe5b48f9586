"""The dashboard, the alert rules and the tables name what is really exported."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT

RULES = DOCS / "_static" / "tornado-unblock.rules.yml"
DASHBOARD = DOCS / "_static" / "grafana-dashboard.json"
PREFIX = "tornado_unblock_"
#: What Prometheus adds to each series.
TARGET = {"job", "instance"}
#: What PromQL has besides metrics and labels, as far as it is used here.
WORDS = {
    *("sum", "max", "min", "avg", "count", "by", "on", "and", "or", "unless", "offset"),
    *("rate", "increase", "delta", "min_over_time", "histogram_quantile"),
    "label_values",
}
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"')
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Return the labels of each series that the exporter can have, by its name."""
    pytest.importorskip("prometheus_client")
    from tornado_unblock.status import prometheus

    counts = dict.fromkeys((*prometheus._STATES, "failures", "oldest_waiting"), 0)
    families = [*prometheus._Statistics().describe(), *prometheus._jobs("x", counts)]
    series: dict[str, set[str]] = {}
    for family in families:
        labels = set(family._labelnames)  # type: ignore[attr-defined]
        if family.type == "histogram":
            series[f"{family.name}_bucket"] = {*labels, "le"}
            series[f"{family.name}_sum"] = series[f"{family.name}_count"] = labels
        else:
            suffix = "_total" if family.type == "counter" else ""
            series[family.name + suffix] = labels
    assert len(series) > 25
    return series


def problems(query: str, exported: dict[str, set[str]]) -> list[str]:
    """Return what a query names that is not there."""
    found, used = [], set()

    def select(selector: re.Match[str]) -> str:
        name, matchers = selector.groups()
        used.add(name)
        for label in _MATCHER.findall(matchers):
            if label not in exported.get(name, set()) | TARGET:
                found.append(f"{name} has no label {label}")
        return f" {name} "

    bare = _SELECTOR.sub(select, query)
    bare = re.sub(r"\[[^]]*\]|\"[^\"]*\"|\b\d[\w.]*", " ", bare)
    names = set(_NAME.findall(bare)) - WORDS
    metrics = {name for name in names if name.startswith(PREFIX)}
    found += [f"{name} is not exported" for name in metrics - exported.keys()]
    labels = TARGET.union(*(exported.get(name, set()) for name in metrics))
    found += [f"no metric here has {name}" for name in names - metrics - labels]
    return found if metrics else [*found, "no metric of ours"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('sum by (executor) (rate(tornado_unblock_up{job="x"}[5m])) > 0.5', []),
        ("tornado_unblock_gone", ["tornado_unblock_gone is not exported"]),
        ('tornado_unblock_up{le="1"}', ["tornado_unblock_up has no label le"]),
        ("sum by (reason) (tornado_unblock_up)", ["no metric here has reason"]),
        ("rate(http[5m])", ["no metric here has http", "no metric of ours"]),
    ],
)
def test_the_search_for_problems(query: str, found: list[str]) -> None:
    """It finds metrics and labels that are not there."""
    assert problems(query, {"tornado_unblock_up": {"executor"}}) == found


# -- the dashboard -------------------------------------------------------------------


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("x", ROOT / "tools" / "grafana.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_dashboard_is_made_of_its_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file is what the tool writes; else `--check` says so."""
    made = tool()
    assert made.main(["--check"]) == 0
    monkeypatch.setattr(made, "DASHBOARD", tmp_path / "other.json")
    made.main([])
    assert made.DASHBOARD.read_text() == DASHBOARD.read_text(encoding="utf-8")
    made.DASHBOARD.write_text("{}")
    assert made.main(["--check"]) == 1
    assert "is not what tools/grafana.py writes" in capsys.readouterr().err


def queries() -> Iterator[tuple[str, str]]:
    """Yield what the dashboard asks for, and where."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def test_queries_of_the_dashboard(exported: dict[str, set[str]]) -> None:
    """Every metric and every label in it is exported."""
    asked = list(queries())
    assert len(asked) > 15
    wrong = {where: problems(query, exported) for where, query in asked}
    assert {where: found for where, found in wrong.items() if found} == {}


def test_legends_of_the_dashboard(exported: dict[str, set[str]]) -> None:
    """A legend shows labels that its query keeps."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            kept = re.search(r"by \(([^)]*)\)", target["expr"])
            labels = set(re.split(r",\s*", kept[1])) if kept else set()
            if not kept:
                (name,) = re.findall(rf"({PREFIX}\w+)", target["expr"])
                labels = exported[name] | TARGET
            assert shown
            assert shown <= labels, panel["title"]


def test_the_dashboard_is_laid_out() -> None:
    """Ids are unique, panels are within the grid and beside each other."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    names = {variable["name"] for variable in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text(encoding="utf-8")))
    assert used - {"__rate_interval", "__all"} == names


# -- the alert rules -----------------------------------------------------------------


def rules() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_alert_rules(exported: dict[str, set[str]]) -> None:
    """Every metric and label in them is exported; each says what to do."""
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found) >= 10
    for rule in found:
        assert problems(rule["expr"], exported) == [], rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        kept = re.search(r"^\w+ by \(([^)]*)\)|", rule["expr"])
        shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        if kept and kept[1]:
            assert shown <= set(re.split(r",\s*", kept[1])), rule["alert"]


def test_alert_rules_are_told_of() -> None:
    """The page has a row for each, and none that is gone."""
    page = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(Unblock\w+)` \|", page, re.MULTILINE)
    assert told == [rule["alert"] for rule in rules()]


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed")
    return found


def test_promtool_accepts_the_rules(promtool: str) -> None:
    """Prometheus's own check has nothing to say."""
    done = subprocess.run(
        [promtool, "check", "rules", str(RULES)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_fires_the_rules(promtool: str, tmp_path: Path) -> None:
    """Each alert comes of what it is for, and of nothing else."""
    file = tmp_path / "alerts.yml"
    text = (Path(__file__).parent / "alerts.yml").read_text(encoding="utf-8")
    file.write_text(text.replace("RULES", str(RULES)))
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


# -- the tables ----------------------------------------------------------------------


def rows(path: Path, head: str) -> Iterator[str]:
    """Yield the code in the first column of the tables that begin so."""
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if re.match(rf"\| {head} \|", line):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                yield from re.findall(r"`([^`]+)`", row.split("|")[1])


def test_tables_of_metrics(exported: dict[str, set[str]]) -> None:
    """What the pages say is exported is: a histogram goes by its family's name."""
    families = {re.sub("_bucket$", "", name) for name in exported}
    told = {
        name
        for path in PAGES
        for name in rows(path, r"(?:metric|number), after `tornado_unblock_`")
    }
    assert len(told) > 20
    assert {name for name in told if PREFIX + name not in families} == set()
    written = {
        name
        for path in PAGES
        for name in re.findall(rf"\b{PREFIX}\w+", path.read_text(encoding="utf-8"))
    }
    assert {name for name in written if name not in families | exported.keys()} == {
        # A prefix in the head of a table.
        *(name for name in written if name == PREFIX)
    }


def test_table_of_opentelemetry() -> None:
    """The page has every metric with its unit, and no other."""
    pytest.importorskip("opentelemetry")
    from tornado_unblock.status import otel_metrics

    page = DOCS / "monitoring.md"
    known = {row.name: row.unit for row in otel_metrics._observed()}
    known.update({"queue.duration": "s", "body.duration": "s"})
    assert set(rows(page, "metric, after `tornado_unblock.`")) == set(known)
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        for name in re.findall(r"`([^`]+)`", cells[1]) if len(cells) == 6 else ():
            if name in known:
                assert cells[2] == known[name], name
