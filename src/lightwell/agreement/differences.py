"""What changes for people between two agreements, in words, each marked looser, stricter or changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from msgspec import Struct, to_builtins

from lightwell.agreement.explain import plain
from lightwell.agreement.model import Agreement

Mark = Literal["looser", "stricter", "changed"]
Path = tuple[str, ...]

_STRICT: Final = {"": 3, "protected": 2, "interop": 1, "public": 0}
# What more of it means. A star stands for any one name.
_MORE: Final[dict[Path, Mark]] = {
    ("excluded", "places", "*"): "stricter",
    ("excluded", "entities", "*"): "stricter",
    ("flows", "*"): "looser",
    ("flows", "*", "both_ways"): "looser",
    ("flows", "*", "categories", "*"): "looser",
    ("flows", "*", "fields", "*"): "looser",
    ("flows", "*", "media", "*"): "looser",
    ("flows", "*", "max_message_bytes"): "looser",
    ("flows", "*", "max_media_bytes"): "looser",
    ("flows", "*", "daily_messages"): "looser",
    ("flows", "*", "daily_bytes"): "looser",
    ("own", "categories", "*"): "looser",
    ("staff", "roles", "*"): "looser",
    ("staff", "approver_roles", "*"): "looser",
    ("staff", "purposes", "*"): "looser",
    ("staff", "categories", "*"): "looser",
    ("emergency", "purposes", "*"): "looser",
    ("emergency", "witness_roles", "*"): "looser",
    ("sensitive", "*"): "stricter",
    ("sensitive", "*", "words", "*"): "stricter",
    ("aggregates", "roles", "*"): "looser",
    ("aggregates", "places", "*"): "looser",
    ("aggregates", "questions", "*"): "looser",
    ("aggregates", "categories", "*"): "looser",
    ("quarantine", "roles", "*"): "looser",
    ("quarantine", "purposes", "*"): "looser",
    ("quarantine", "categories", "*"): "looser",
    ("processes", "*"): "looser",
    ("processes", "*", "categories", "*"): "looser",
    ("approvals", "*", "needed"): "stricter",
    ("approvals", "*", "by", "*"): "looser",
    # Without a rule for it, a thing needs more approvals than there are people.
    ("approvals", "*"): "looser",
    ("powers", "suspend", "*"): "stricter",
    ("powers", "restrict", "*"): "stricter",
    ("powers", "extend", "*"): "stricter",
    ("powers", "delete", "*"): "stricter",
    ("powers", "divest", "*"): "stricter",
    ("powers", "inspect", "*"): "stricter",
    ("powers", "lift", "*"): "looser",
    ("powers", "stay", "*"): "looser",
    ("limits", "max_grant_minutes", "value"): "looser",
    ("limits", "max_grant_minutes_per_day", "value"): "looser",
    ("limits", "max_grant_fields", "value"): "looser",
    ("limits", "max_grant_subjects_per_day", "value"): "looser",
    ("limits", "revocation_seconds", "value"): "looser",
    ("limits", "max_emergency_minutes", "value"): "looser",
    ("limits", "emergency_review_minutes", "value"): "looser",
    ("limits", "emergency_witnesses", "value"): "stricter",
    ("limits", "aggregate_budget", "value"): "looser",
    ("limits", "aggregate_question_cost", "value"): "looser",
    ("limits", "aggregate_period_days", "value"): "stricter",
    ("limits", "aggregate_least_count", "value"): "stricter",
    ("limits", "order_effect_seconds", "value"): "looser",
    ("limits", "transfer_pairing_seconds", "value"): "looser",
    ("limits", "promotion_share_per_mille", "value"): "looser",
    ("limits", "slate_replay_days", "value"): "stricter",
    ("limits", "report_period_days", "value"): "looser",
    ("limits", "refused_transfer_report_days", "value"): "looser",
    ("limits", "record_years", "value"): "stricter",
    ("limits", "min_board_seats", "value"): "stricter",
    ("deadlines", "*"): "stricter",
    ("deadlines", "*", "days"): "looser",
    ("reports", "*"): "stricter",
    ("reports", "*", "every_days"): "looser",
    ("reports", "*", "within_days"): "looser",
    ("reports", "*", "contents", "*"): "stricter",
    ("signing", "parties", "*"): "stricter",
    ("appointments", "roles", "*"): "stricter",
    ("appointments", "each_hire"): "stricter",
    ("appointments", "days"): "stricter",
    ("terms", "*"): "stricter",
    ("terms", "*", "evidence", "*"): "stricter",
}
_KEYS: Final = {"approvals": "what"}


class Change(Struct, frozen=True):
    """One difference: how it is marked, what it says in words, and where it stands in the agreement."""

    mark: Mark
    says: str
    path: list[str]


def differences(old: Agreement, new: Agreement) -> list[Change]:
    """Return everything that differs between two agreements; none is left out, whatever it is about.

    A mark says what it means for the people whose data it is: `looser` lets more happen to it, `stricter`
    less, and `changed` is a change of words, places or names that has no such direction.

    Args:
        old: what would be replaced.
        new: what would replace it.
    """
    return [*_classes(old, new), *_values(_flat(old), _flat(new))]


def _classes(old: Agreement, new: Agreement) -> Iterator[Change]:
    """Compare by category what class it has, listed or inherited, not in which table it is listed."""
    names = {name for agreement in (old, new) for entry in agreement.classes for name in entry.categories}
    for name in sorted(names):
        before, after = old.residency(name) or "", new.residency(name) or ""
        if before != after:
            mark: Mark = "stricter" if _STRICT[after] > _STRICT[before] else "looser"
            says = f"{plain(name)}: {before or 'no class, unusable'} -> {after or 'no class, unusable'}"
            yield Change(mark, says, ["classes", name])


def _values(old: dict[Path, Any], new: dict[Path, Any]) -> Iterator[Change]:
    for path in [*old, *(path for path in new if path not in old)]:
        # A table that came or went is said once, not again for each of its keys.
        if any(
            (path[:length] in old) != (path[:length] in new)
            for length in range(1, len(path))
            if path[:length] in old or path[:length] in new
        ):
            continue
        before, after = old.get(path), new.get(path)
        if path in old and path in new and before == after:
            continue
        yield Change(_mark(path, before, after), _says(path, before, after), list(path))


def _mark(path: Path, before: Any, after: Any) -> Mark:
    if path[:1] == ("terms",) and path[2:] == ("check",):
        unseen = "nothing-recorded"
        return "looser" if after == unseen else "stricter" if before == unseen else "changed"
    more = _meaning(path)
    if more is None or (before is not None and after is not None and type(before) is not type(after)):
        return "changed"
    if before is None or after is None:
        grew = before is None
    elif isinstance(before, bool | int):
        grew = after > before
    else:
        return "changed"
    less: Mark = "looser" if more == "stricter" else "stricter"
    return more if grew else less


def _meaning(path: Path) -> Mark | None:
    # Of a power it is the verb that counts, whoever has it and whatever it covers.
    key = path[:3] if path[0] == "powers" else path
    for pattern, meaning in _MORE.items():
        if len(pattern) == len(key) and all(part in ("*", k) for part, k in zip(pattern, key, strict=True)):
            return meaning
    return None


def _says(path: Path, before: Any, after: Any) -> str:
    where = ", ".join(part.replace("_", " ") for part in path)
    if before is None:
        return f"{where}: new" if after is True else f"{where}: new, {after}"
    if after is None:
        return f"{where}: no longer" if before is True else f"{where}: no longer, was {before}"
    return f"{where}: {before} -> {after}"


def _flat(agreement: Agreement) -> dict[Path, Any]:
    """Give every value but the classes' categories a path of names that does not depend on its place."""
    whole: dict[str, Any] = to_builtins(agreement)
    access = whole.pop("access")
    rules = ("own", "staff", "emergency", "aggregates", "quarantine", "processes")
    whole |= {name: access[name] for name in rules}
    whole["sensitive"] = access["sensitive"].pop("interests")
    whole["sensitive_rule"] = access["sensitive"]
    whole["classes"] = [
        {"id": entry["residency"], "why": entry["why"], "terms": entry["terms"]} for entry in whole["classes"]
    ]
    powers = whole.pop("powers")
    flat: dict[Path, Any] = {}
    for power in powers:
        for role in power["by"]:
            for scope in power["scopes"]:
                flat["powers", power["verb"], f"by {role}", scope] = True
        for key in ("why", "terms"):
            _lay(flat, ("power", power["verb"], *power["by"], key), power[key])
    for name, value in whole.items():
        _lay(flat, (name,), value)
    return flat


def _lay(flat: dict[Path, Any], path: Path, value: Any) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            _lay(flat, (*path, name), each)
    elif isinstance(value, list) and path[-1] == "between":
        flat[path] = " and ".join(value)
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict):
                name = _name(path[-1], each)
                flat[(*path, name)] = True
                _lay(flat, (*path, name), each)
            else:
                flat[(*path, str(each))] = True
    else:
        flat[path] = value


def _name(table: str, each: dict[str, Any]) -> str:
    if table == "processes":
        return f"{each['role']} may {each['action']}"
    return str(each[_KEYS.get(table, "id")])
