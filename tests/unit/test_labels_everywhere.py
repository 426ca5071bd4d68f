"""Everything that could hold a value of somebody's is declared, and nothing in the source goes around it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import lightwell.apps.web
import lightwell.apps.worker  # noqa: F401  they import every model, message and workflow
from lightwell.base.labels import declared
from lightwell.base.log_fields import is_declared
from lightwell.base.telemetry import _PHRASE

SOURCE = Path(__file__).parents[2] / "src" / "lightwell"
CELL = [SOURCE / floor for floor in ("base", "ledger", "residency", "product", "apps")]
OWN = {"error"}
"""A parameter of the logger, besides the fields."""


def modules(*folders: Path) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in folder.rglob("*.py"):
            yield str(path.relative_to(SOURCE)), ast.parse(path.read_text("utf-8"))


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    for name, tree in modules(*CELL):
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id.lower() in ("_log", "_libraries", "_python")
            ):
                yield f"{name}:{node.lineno}", node


def test_every_field_of_every_log_line_is_declared() -> None:
    undeclared = {
        f"{place}: {keyword.arg}"
        for place, call in log_calls()
        for keyword in call.keywords
        if keyword.arg is None or not (is_declared(keyword.arg) or keyword.arg in OWN)
    }
    assert undeclared == set()


def test_every_event_of_the_log_is_a_fixed_phrase() -> None:
    calls = list(log_calls())
    loose = {
        place
        for place, call in calls
        if not (isinstance(call.args[0], ast.Constant) and _PHRASE.fullmatch(str(call.args[0].value)))
    }
    assert loose == set()
    assert len(calls) > 25


def test_nothing_but_telemetry_writes_what_it_was_given() -> None:
    wrong = set()
    for name, tree in modules(*(folder for folder in CELL if folder.name != "apps")):
        for node in ast.walk(tree):
            told = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            imports = isinstance(node, ast.Import) and any(one.name == "logging" for one in node.names)
            if (told or imports) and name != "base/telemetry.py":
                wrong.add(f"{name}:{node.lineno}")
    assert wrong == set()


def test_every_workflow_and_step_goes_through_the_labelled_door() -> None:
    wrong = {
        f"{name}:{node.lineno}"
        for name, tree in modules(*CELL)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("workflow", "step", "transaction", "scheduled")
        and isinstance(node.value, ast.Name)
        and node.value.id == "DBOS"
        and name != "base/jobs.py"
    }
    assert wrong == set()
    assert ("workflow", "transcode", "video_id") in declared()


def test_every_module_that_keeps_things_in_memory_says_what() -> None:
    keeping = {"lru_cache", "cache", "OrderedDict"}
    silent = set()
    for name, tree in modules(*CELL):
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in ("functools", "collections")
            for alias in node.names
        }
        called = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "functools"
        }
        calls = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        if (imported | called) & keeping and "declare_cache" not in calls:
            silent.add(name)
    assert silent == set()


def test_map_knows_every_kind_of_place() -> None:
    kinds = {kind for kind, _, _ in declared()}
    assert kinds == {"object", "prefix", "message", "log", "metric", "workflow", "cache"}
