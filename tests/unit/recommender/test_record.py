"""Records and slates have one byte string each, and nothing else is read as one."""

import json

import msgspec
import pytest

from lightwell.recommender.record import (
    RecordError,
    Slate,
    SlateItem,
    inputs_bytes,
    read_inputs,
    read_slate,
    slate_bytes,
)
from tests.unit.recommender.worlds import fan, inputs


def test_inputs_come_back_from_their_bytes() -> None:
    record = inputs(fan("ink"))
    assert read_inputs(inputs_bytes(record)) == record


def test_bytes_are_sorted_and_without_spaces() -> None:
    data = inputs_bytes(inputs(fan("ink")))
    again = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert data.decode() == again


def test_slate_bytes_are_those_the_commitment_names() -> None:
    slate = Slate([SlateItem("00000000000000aa", 412, "co_watch")])
    data = slate_bytes(slate)
    assert data == b'{"items":[{"score":412,"source":"co_watch","video":"00000000000000aa"}]}'
    assert read_slate(data) == slate


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"cell"', b' "cell"'),
        (b'"v":1', b'"v":2'),
        (b'"k":10', b'"k":0'),
        (b'"k":10', b'"k":51'),
        (b'"k":10', b'"k":10.0'),
        (b'"for_you"', b'"for_me"'),
        (b'"withdrawn":[]', b'"withdrawn":["xyz"]'),
        (b'"withdrawn":[]', b'"withdrawn":[],"x":1'),
        (b'"withdrawn":[]}', b""),
        (b'"region":"us"', b'"region":"\xff"'),
        (b'"region":"us"', b'"region":"us\\n"'),
        (b",8]", b",256]"),
        (b",8]", b",-1]"),
        (b',"withdrawn":[]', b""),
    ],
)
def test_other_bytes_are_refused(old: bytes, new: bytes) -> None:
    data = inputs_bytes(inputs(fan("ink")))
    assert old in data
    with pytest.raises(RecordError):
        read_inputs(data.replace(old, new, 1))


def test_a_slate_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(RecordError):
        read_slate(b'{"items": []}')
    with pytest.raises(RecordError):
        read_slate(msgspec.json.encode({"items": [{}]}))
