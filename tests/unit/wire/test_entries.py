"""Entries: a closed set, one form in bytes each, unknown ones kept."""

from typing import Any, get_args

import msgspec
import pytest

from lightwell.wire import canonical, entries
from lightwell.wire.entries import EntryError, SlateServed, UnknownEntry, decode, encode

DIGEST = "0123456789abcdef" * 4


def example(kind: type[msgspec.Struct]) -> Any:
    """One entry of a kind with plausible fields."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name in {"v"}:
            continue
        by_name: dict[str, Any] = {
            "at": 1_700_000_040,
            "expires_at": 1_700_000_100,
            "fields": ["user.contact.email"],
        }
        by_name |= {"outcome": "refused", "why": "expired", "version": 3, "approvals": 1, "videos": 2}
        by_name |= {"count": 9, "size": 1000, "promotions": 1, "raises": True, "ceiling": 20_000}
        by_name |= {"start": 1_700_000_400, "end": 1_700_004_000}
        digests = {
            "digest",
            "roster_digest",
            "commitment",
            "snapshot",
            "policy",
            "promotion",
            "base",
            "model",
            "events",
            "settings",
            "code",
        }
        values[field.name] = DIGEST if field.name in digests else by_name.get(field.name, f"a-{field.name}")
    return kind(**(values | _of_type(kind, values)))


def _of_type(kind: type[msgspec.Struct], values: dict[str, Any]) -> dict[str, Any]:
    """For each field that would be refused, a value that its type takes."""
    found = {}
    for field in msgspec.structs.fields(kind):
        if field.name == "v":
            continue
        # A Literal takes its own first value.
        literal = get_args(field.type)[:1]
        tries = (values[field.name], DIGEST, 7, 1_700_000_040, True, ["a-name"], *literal)
        found[field.name] = next(value for value in tries if _fits(value, field.type))
    return found


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", entries.KINDS.values(), ids=lambda kind: kind.__name__)
def test_each_kind_is_read_back(kind: type[msgspec.Struct]) -> None:
    entry = example(kind)
    data = encode(entry)
    assert decode(data) == entry
    assert canonical.decode(data)["kind"] == kind.__name__  # type: ignore[index,call-overload]


def test_the_set_is_closed() -> None:
    assert set(get_args(entries.Entry)) == set(entries.KINDS.values())


def test_a_slate_entry_has_the_bytes_of_the_contract() -> None:
    entry = SlateServed(at=1_700_000_040, commitment=DIGEST, snapshot=DIGEST, policy=DIGEST)
    assert encode(entry).decode() == (
        f'{{"at":1700000040,"commitment":"{DIGEST}","kind":"SlateServed",'
        f'"policy":"{DIGEST}","snapshot":"{DIGEST}","v":1}}'
    )


@pytest.mark.parametrize(
    "fields", [{"kind": "FromTheFuture", "v": 1, "x": [1]}, {"kind": "SlateServed", "v": 2}]
)
def test_unknown_kinds_and_versions_are_kept(fields: dict[str, Any]) -> None:
    data = canonical.encode(fields)
    assert decode(data) == UnknownEntry(fields["kind"], fields["v"], data)


@pytest.mark.parametrize(
    "change",
    [
        {"at": 1_700_000_041},
        {"at": -60},
        {"at": "60"},
        {"commitment": DIGEST.upper()},
        {"commitment": DIGEST + "\n"},
        {"commitment": DIGEST[:-1]},
        {"viewer": "someone"},
    ],
)
def test_a_known_kind_with_wrong_fields_is_refused(change: dict[str, Any]) -> None:
    fields = msgspec.to_builtins(example(SlateServed)) | change
    with pytest.raises(EntryError):
        decode(canonical.encode(fields))


def test_an_entry_about_a_person_with_a_fine_time_is_not_written() -> None:
    with pytest.raises(EntryError):
        encode(SlateServed(at=61, commitment=DIGEST, snapshot=DIGEST, policy=DIGEST))
    assert entries.minute(119) == 60


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"{}", b'{"kind":"SlateServed"}', b'{"kind":1,"v":1}'])
def test_bytes_that_are_no_entry_are_refused(data: bytes) -> None:
    with pytest.raises(EntryError):
        decode(data)
