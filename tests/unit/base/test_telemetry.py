"""No protected value gets into a log line, a metric or a job's state, whoever tries and however."""

import json
import logging
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from lightwell.base import jobs, log_fields, metrics, telemetry
from lightwell.base.db import Database
from lightwell.base.jobs import JobFailedError
from lightwell.base.labels import UnlabelledError, declare, make_label
from lightwell.base.telemetry import log

MACHINE = make_label("system.operations", "interop")
EMAIL = make_label("user.contact.email", "protected")
CANARIES = [
    "mira.canary@example.org",
    "+1 415 555 0132",
    "14155550132",
    "203.0.113.77",
    "12 Atrium Lane, Austin",
    "Mira Canary",
    "1994-03-09",
    "2001:db8::7",
    "bWlyYS5jYW5hcnlAZXhhbXBsZS5vcmc=",
]

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.fixture
def guarded() -> Iterator[None]:
    """This process guarded as a cell's is, for one test."""
    import sys

    before = (logging.Logger.callHandlers, sys.excepthook, threading.excepthook, sys.unraisablehook)
    shown = warnings.showwarning
    telemetry.guard_process()
    yield
    logging.Logger.callHandlers = before[0]  # type: ignore[method-assign]
    sys.excepthook, threading.excepthook, sys.unraisablehook = before[1:]
    warnings.showwarning = shown


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize(
    "field", ["reason", "why", "peer", "process", "digest", "video", "witness", "route", "thread", "where"]
)
def test_log_field_withholds_a_value_that_has_not_its_form(field: str, canary: str, lines: Lines) -> None:
    log("test").info("something happened", **{field: canary})
    (line,) = lines()
    assert line[field] == "[withheld]"


@pytest.mark.parametrize("number", [14155550132, 4111111111111111, -1, 19940309.5, True])
def test_log_number_that_could_be_somebodys_is_withheld(number: float, lines: Lines) -> None:
    log("test").info("something happened", sequence=number)
    assert lines()[0]["sequence"] == "[withheld]"


def test_log_field_that_nobody_declared_is_left_out(lines: Lines) -> None:
    log("test").warning("something happened", email=CANARIES[0], mira_canary="x", peer="sg")
    (line,) = lines()
    assert {"email", "mira_canary"}.isdisjoint(line)
    assert (line["undeclared"], line["peer"]) == (2, "sg")


def test_protected_log_field_is_named_and_never_written(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(log_fields._fields, "email", (EMAIL, log_fields.text(".*")))
    log("test").info("something happened", email=CANARIES[0])
    assert lines()[0]["email"] == "[protected]"


@pytest.mark.parametrize("canary", CANARIES)
def test_event_that_was_put_together_is_not_written(canary: str, lines: Lines) -> None:
    logger = log("test")
    logger.info(f"signed up {canary}")
    logger.warning("signed up " + canary)
    logger.error("signed up {}".format(canary), ValueError(canary))  # noqa: UP032  the older way too
    found = lines()
    assert [line["event"] for line in found] == ["[not a fixed phrase]"] * 3
    assert canary not in json.dumps(found)


@pytest.mark.parametrize("canary", CANARIES)
def test_text_of_an_exception_and_of_its_causes_is_not_written(canary: str, lines: Lines) -> None:
    try:
        try:
            raise KeyError(canary)
        except KeyError as error:
            raise ValueError(f"no {canary}") from error
    except ValueError as error:
        log("test").error("something failed", error)
    (line,) = lines()
    assert canary not in json.dumps(line)
    assert (line["error"], line["where"][:18]) == ("ValueError", "test_telemetry.py:")


@pytest.mark.parametrize("canary", CANARIES[:2])
def test_library_that_logs_a_value_says_only_where(canary: str, lines: Lines, guarded: None) -> None:
    logger = logging.getLogger("dbos.somewhere")
    logger.setLevel(logging.WARNING)  # whatever a test before this one made of its parent's
    logger.addHandler(logging.StreamHandler())
    logger.warning("row of %s", canary)
    logger.error("row of " + canary)
    try:
        raise ValueError(canary)
    except ValueError:
        logger.exception("row of %s", canary)
    found = lines()
    assert canary not in json.dumps(found)
    assert [line["library"] for line in found] == ["dbos"] * 3
    assert found[2]["error"] == "ValueError"


def test_exception_that_nobody_caught_is_told_without_its_text(lines: Lines, guarded: None) -> None:
    def fail() -> None:
        raise ValueError(CANARIES[0])

    class Dying:
        def __del__(self) -> None:
            raise ValueError(CANARIES[0])

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    dying = Dying()
    del dying
    warnings.warn(CANARIES[0], stacklevel=1)
    found = lines()
    assert CANARIES[0] not in json.dumps(found)
    assert [line["event"] for line in found] == [
        "an exception ended a thread",
        "an exception could not be raised",
        "a warning",
    ]


def test_uncaught_exception_of_a_process_is_told_without_its_text(lines: Lines, guarded: None) -> None:
    import sys

    try:
        raise ValueError(CANARIES[0])
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    (line,) = lines()
    assert CANARIES[0] not in json.dumps(line)
    assert line["error"] == "ValueError"


def test_database_error_does_not_quote_what_a_statement_was_given(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(sqlalchemy.exc.OperationalError) as raised, database.read() as session:
        session.execute(sqlalchemy.text("SELECT * FROM nowhere WHERE a = :a"), {"a": CANARIES[0]})
    assert CANARIES[0] not in str(raised.value)
    database.dispose()


@pytest.mark.parametrize("canary", CANARIES)
def test_metric_label_withholds_a_value_that_is_no_word(canary: str) -> None:
    counter = metrics.Counter("test_seen", "Seen in a test.", "reason")
    counter.add(reason=canary)
    counter.add(reason="not-yours")
    assert counter.lines()[2:] == [
        'lightwell_test_seen_total{reason="[withheld]"} 1',
        'lightwell_test_seen_total{reason="not-yours"} 1',
    ]
    metrics._counters.remove(counter)


def test_protected_metric_label_does_not_import() -> None:
    with pytest.raises(UnlabelledError, match="in clear"):
        metrics.Counter("by_email", "By e-mail.", email=(EMAIL, log_fields.WORD))


def test_metric_takes_exactly_its_labels() -> None:
    counter = metrics.Counter("test_more", "Seen in a test.", "reason")
    with pytest.raises(TypeError) as raised:
        counter.add(reason="x", email=CANARIES[0])
    assert CANARIES[0] not in str(raised.value)
    metrics._counters.remove(counter)


@pytest.mark.parametrize("kind", ["prefix", "message", "log", "metric", "workflow", "cache", "object"])
def test_field_without_a_label_does_not_import(kind: Any) -> None:
    with pytest.raises(UnlabelledError, match="has no label"):
        declare(kind, "place", "field", None)


@pytest.mark.parametrize("labels", [{}, {"email": MACHINE}, {"email": EMAIL, "returns": MACHINE}])
def test_workflow_argument_without_a_label_or_a_protected_one_does_not_import(labels: Any) -> None:
    with pytest.raises(UnlabelledError):

        @jobs.workflow("greet", **labels)
        def greet(email: str) -> str:
            return email


def test_step_whose_result_is_not_labelled_does_not_import() -> None:
    with pytest.raises(UnlabelledError, match=r"look\.returns"):

        @jobs.step(video_id=MACHINE)
        def look(video_id: str) -> str:
            return video_id


def test_failed_step_keeps_no_text_of_its_exception_in_the_jobs_state() -> None:
    def look(video_id: str) -> str:
        raise ValueError(f"{video_id} of {CANARIES[0]}")

    with pytest.raises(JobFailedError) as raised:
        jobs._labelled("look_in_test", look, {"video_id": MACHINE, "returns": MACHINE})("v")
    assert CANARIES[0].encode() not in pickle.dumps(raised.value)
    assert str(raised.value).startswith("ValueError at test_telemetry.py:")
