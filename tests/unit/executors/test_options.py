"""The options of executors: what they may be, from the code and the environment."""

from __future__ import annotations

import dataclasses
import inspect
import math

import pytest

from tornado_unblock import ConfigurationError, configure
from tornado_unblock._executors.options import Options
from tornado_unblock._executors.registry import executors, get_executor, options_of
from tornado_unblock._executors.threads import WorkerExecutor


def options(name: str = "default") -> Options:
    return options_of(get_executor(name))


def test_defaults():
    """They are what the documentation of `configure` says."""
    assert dataclasses.asdict(options()) == {
        "max_workers": 50,
        "max_waiting": 1000,
        "queue_timeout": 30.0,
        "timeout": None,
        "timeout_status": 504,
        "max_endpoint_share": None,
        "processes": None,
        "factory": None,
    }
    assert options().endpoint_share == 0.8
    assert (
        Options(processes=2).endpoint_share == Options(factory=dict).endpoint_share == 1
    )
    assert Options(processes=2, max_endpoint_share=0.5).endpoint_share == 0.5
    assert get_executor().max_workers == 50


@pytest.mark.parametrize(
    ("option", "values", "message"),
    [
        ("max_workers", [0, -1, 1.5, "7", None, True], "whole number from 1 on"),
        ("max_waiting", [-1, 0.5, "7", None, False], "whole number from 0 on"),
        ("timeout", [0, -1, "7", True, math.nan], "positive number of seconds or None"),
        ("queue_timeout", [0, -0.5, "7", [], math.nan], "seconds or None"),
        ("timeout_status", [399, 600, 504.0, "504", None], "from 400 to 599"),
        ("max_endpoint_share", [0, -1, 1.01, "1", True, math.nan], "at most 1"),
        ("processes", [0, -1, 1.5, "7", True], "whole number from 1 on"),
        ("factory", ["pool", 7], "callable and return an executor"),
    ],
)
def test_bad_values(option, values, message):
    """Each is refused with its name and what it must be, and changes nothing."""
    for value in values:
        with pytest.raises(ConfigurationError, match=f"^{option} must be .*{message}"):
            configure("reports", **{option: value})
    assert options("reports") == Options()


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("max_workers", [1, 5000]),
        ("max_waiting", [0, 10**6]),
        ("timeout", [None, 1, 0.001, math.inf]),
        ("queue_timeout", [None, 1, 0.001]),
        ("timeout_status", [400, 599, 503]),
        ("max_endpoint_share", [0.001, 0.5, 1, 1.0]),
        ("processes", [1, 3]),
        ("factory", [None, dict]),
    ],
)
def test_good_values(option, values):
    """The bounds themselves are allowed."""
    for value in values:
        configure("reports", **{option: value})
    assert getattr(options("reports"), option) == values[-1]


def test_unknown_option():
    """A misspelt name is refused by the name of the function that was called."""
    with pytest.raises(
        TypeError, match=r"^configure\(\) got an unexpected .*'workers'"
    ):
        configure(workers=7, timeout=1.0)  # type: ignore[call-arg]
    assert options() == Options()


def test_what_can_be_set_is_said_twice():
    """`configure` has each field of the options by name, and of its type."""
    given = inspect.signature(configure).parameters
    for field in dataclasses.fields(Options):
        assert given[field.name].annotation == field.type, field.name
        assert repr(given[field.name].default) == "<unchanged>"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"executor": 3}, "takes the name of an executor, .* not 3"),
        ({"strict": 1}, "strict must be True or False, not 1"),
    ],
)
def test_bad_arguments(wrong, message):
    """What is no option of an executor is looked at as well."""
    with pytest.raises(ConfigurationError, match=message):
        configure(**wrong)


def test_errors_are_value_errors():
    """Code that knows nothing of the library can catch them."""
    with pytest.raises(ValueError, match="max_workers"):
        configure(max_workers=0)


@pytest.mark.parametrize(
    ("executor", "variable", "text", "option", "value"),
    [
        ("default", "MAX_WORKERS", "80", "max_workers", 80),
        ("default", "MAX_WAITING", "0", "max_waiting", 0),
        ("default", "TIMEOUT", "1.5", "timeout", 1.5),
        ("default", "TIMEOUT", "None", "timeout", None),
        ("default", "QUEUE_TIMEOUT", "none", "queue_timeout", None),
        ("default", "TIMEOUT_STATUS", "503", "timeout_status", 503),
        ("default", "MAX_ENDPOINT_SHARE", "1", "max_endpoint_share", 1.0),
        ("reports", "REPORTS_MAX_WORKERS", "4", "max_workers", 4),
        ("reports", "REPORTS_PROCESSES", "2", "processes", 2),
        ("reports", "REPORTS_FACTORY", "dict", "factory", None),
        ("pdf-reports.2", "PDF_REPORTS_2_TIMEOUT", "4", "timeout", 4.0),
    ],
)
def test_environment(monkeypatch, executor, variable, text, option, value):
    """It overrides what the code says, for the executor that it names."""
    configure(executor, max_workers=3, timeout=9.0, queue_timeout=9.0)
    monkeypatch.setenv(f"TORNADO_UNBLOCK_{variable}", text)
    assert getattr(options(executor), option) == value
    assert options("another") == Options()


def test_environment_leaves_the_rest():
    """What it does not name stays as configured."""
    configure(max_waiting=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORNADO_UNBLOCK_MAX_WORKERS", "80")
        assert options() == Options(max_workers=80, max_waiting=7)
    assert options().max_workers == 80


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("MAX_WORKERS", "many", "TORNADO_UNBLOCK_MAX_WORKERS='many' is not a number"),
        ("MAX_WORKERS", "1.5", "MAX_WORKERS='1.5' is not a number"),
        ("MAX_WORKERS", "none", "MAX_WORKERS='none' is not a number"),
        ("MAX_ENDPOINT_SHARE", "", "MAX_ENDPOINT_SHARE='' is not a number"),
        ("MAX_WORKERS", "0", "TORNADO_UNBLOCK_MAX_WORKERS='0': max_workers must be"),
        ("TIMEOUT", "-1", "TORNADO_UNBLOCK_TIMEOUT='-1': timeout must be"),
        (
            "MAX_ENDPOINT_SHARE",
            "80",
            "MAX_ENDPOINT_SHARE='80': max_endpoint_share must be",
        ),
    ],
)
def test_bad_environment(monkeypatch, variable, text, message):
    """It is refused on first use, and can be put right."""
    with monkeypatch.context() as patch:
        patch.setenv(f"TORNADO_UNBLOCK_{variable}", text)
        with pytest.raises(ConfigurationError, match=message):
            get_executor()
    assert executors() == {}
    assert options() == Options()


@pytest.mark.parametrize("option", [{"processes": 2}, {"factory": dict}])
def test_default_executor_has_threads(option):
    """Handlers run there, and cannot run elsewhere."""
    with pytest.raises(ConfigurationError, match="runs handlers, which need threads"):
        configure(**option)
    assert isinstance(get_executor(), WorkerExecutor)


def test_default_executor_has_threads_whatever_the_environment_says(monkeypatch):
    """A deployment cannot change that either."""
    monkeypatch.setenv("TORNADO_UNBLOCK_PROCESSES", "2")
    with pytest.raises(ConfigurationError, match="need threads"):
        get_executor()


@pytest.mark.parametrize(
    "calls",
    [
        [{"processes": 4, "max_workers": 8}],
        [{"processes": 4, "max_workers": 50}],
        [{"max_workers": 8}, {"processes": 4}],
        [{"processes": 4}, {"max_workers": 8}],
    ],
)
def test_processes_leave_max_workers_nothing_to_say(calls):
    """Together they are refused, in whatever order they are given."""
    *first, last = calls
    for options_given in first:
        configure("cpu", **options_given)
    with pytest.raises(ConfigurationError, match=r"max_workers=\d+ has no effect"):
        configure("cpu", **last)


def test_processes_may_be_changed_or_repeated():
    """What agrees is no error."""
    configure("cpu", processes=4, max_workers=4)
    configure("cpu", processes=2)
    configure("cpu", timeout=3.0)
    configure("cpu", processes=None, max_workers=7)
    assert options("cpu") == Options(max_workers=7, timeout=3.0)


@pytest.mark.parametrize("where", ["code", "environment"])
def test_environment_cannot_set_workers_beside_processes(monkeypatch, where):
    """The variable that has no effect is named."""
    if where == "code":
        configure("cpu", processes=2)
    else:
        monkeypatch.setenv("TORNADO_UNBLOCK_CPU_PROCESSES", "2")
    monkeypatch.setenv("TORNADO_UNBLOCK_CPU_MAX_WORKERS", "8")
    with pytest.raises(ConfigurationError, match=r"_CPU_MAX_WORKERS='8': .*no effect"):
        get_executor("cpu")


def test_as_many_jobs_as_processes():
    """An executor of processes has as many tokens as there are of these."""
    configure("reports", processes=2)
    assert get_executor("reports").max_workers == options("reports").max_workers == 2
