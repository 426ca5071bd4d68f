"""Tells which entries stand in the published tree, and where; until then nothing may rely on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import bindparam, delete, func, insert, select

from lightwell.base.db import ReadSession, WriteSession
from lightwell.ledger.models import LedgerPlaces, LedgerRecent
from lightwell.wire.merkle import HASH_SIZE

FOLD_AT = 8_192
"""Recent entries are folded into places when there are this many; a row then has some 32 to 64 of them."""
JOIN_AT = 32
"""So many rows of one first byte are joined into one."""

# With the bucket's byte 12 of the 32: two entries that agree in these are not to be found.
_KEY_SIZE = 11
_INDEX_SIZE = 6
_RECORD_SIZE = _KEY_SIZE + _INDEX_SIZE


def integrated(session: ReadSession, leaves: Collection[bytes]) -> dict[bytes, int]:
    """Return the index of those of `leaves` that are under a published checkpoint, by leaf hash.

    Args:
        session: any session of the cell; what it sees is what it answers.
        leaves: 32-byte leaf hashes as `queue.enqueue` returned them, at most some hundreds. Equal entries
            have equal hashes: the index of one of them stands for all.
    """
    wanted = {leaf for leaf in leaves if len(leaf) == HASH_SIZE}
    if not wanted:
        return {}
    found: dict[bytes, int] = {}
    # Recent ones first: a fold between the two reads then hides nothing.
    for first, raw in session.execute(_RECENT):
        for leaf in wanted - found.keys():
            at = _aligned(raw, leaf, HASH_SIZE)
            if at is not None:
                found[leaf] = first + at
    return found | _in_places(session, wanted - found.keys())


def record_places(session: WriteSession, first_index: int, leaves: Sequence[bytes]) -> None:
    """Remember where the entries of a published batch stand.

    Args:
        session: the transaction that also says that they are published.
        first_index: index of the first.
        leaves: their 32-byte leaf hashes, in order.
    """
    connection = session.connection()
    connection.execute(_ADD_RECENT, {"first_index": first_index, "leaves": b"".join(leaves)})
    held = session.execute(_RECENT_BYTES).scalar_one() or 0
    if held >= FOLD_AT * HASH_SIZE:
        _fold(session)


def _fold(session: WriteSession) -> None:
    """Turn all recent rows into places, and drop them; join rows if there are many."""
    rows = session.execute(_RECENT).all()
    records: dict[int, bytearray] = {}
    for start, raw in rows:
        for at in range(0, len(raw), HASH_SIZE):
            index = start + at // HASH_SIZE
            record = raw[at + 1 : at + 1 + _KEY_SIZE] + index.to_bytes(_INDEX_SIZE, "big")
            records.setdefault(raw[at], bytearray()).extend(record)
    connection = session.connection()
    _add(session, rows[0][0], {bucket: bytes(found) for bucket, found in records.items()}, is_joined=False)
    connection.execute(delete(LedgerRecent.__table__))  # type: ignore[arg-type]
    if session.execute(_COUNT_SMALL).scalar_one() >= JOIN_AT:
        _join(session)


def _join(session: WriteSession) -> None:
    """Make one row of all that are not joined, for each first byte."""
    joined: dict[int, bytes] = {}
    firsts: dict[int, int] = {}
    for bucket in range(256):
        rows = session.execute(_SMALL, {"bucket": bucket}).all()
        if rows:
            joined[bucket] = b"".join(records for _, records in rows)
            firsts[bucket] = rows[0][0]
    # What is not joined is newer than all that is: a range of each key, not a search through the table.
    session.connection().execute(_DROP_FROM, [{"of": one, "first": firsts[one]} for one in firsts])
    _add(session, min(firsts.values()), joined, is_joined=True)


def _add(session: WriteSession, first_index: int, records: Mapping[int, bytes], is_joined: bool) -> None:
    rows = [
        {"bucket": bucket, "first_index": first_index, "is_joined": is_joined, "records": found}
        for bucket, found in sorted(records.items())
    ]
    session.connection().execute(_ADD_PLACES, rows)


def _in_places(session: ReadSession, wanted: Collection[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for leaf in wanted:
        rows = session.execute(_PLACES, {"bucket": leaf[0]})
        key = leaf[1 : 1 + _KEY_SIZE]
        for (records,) in rows:
            at = _aligned(records, key, _RECORD_SIZE)
            if at is not None:
                end = (at + 1) * _RECORD_SIZE
                found[leaf] = int.from_bytes(records[end - _INDEX_SIZE : end], "big")
                break
        rows.close()
    return found


def _aligned(raw: bytes, key: bytes, step: int) -> int | None:
    """Return which record of `step` bytes begins with `key`, None if none does."""
    at = raw.find(key)
    while at >= 0 and at % step:
        at = raw.find(key, at + 1)
    return at // step if at >= 0 else None


_RECENT = select(LedgerRecent.first_index, LedgerRecent.leaves).order_by(LedgerRecent.first_index)
_RECENT_BYTES = select(func.sum(func.length(LedgerRecent.leaves)))
_PLACES = (
    select(LedgerPlaces.records)
    .where(LedgerPlaces.bucket == bindparam("bucket"))
    .order_by(LedgerPlaces.first_index)
)
_SMALL = (
    select(LedgerPlaces.first_index, LedgerPlaces.records)
    .where(LedgerPlaces.bucket == bindparam("bucket"), LedgerPlaces.is_joined.is_(False))
    .order_by(LedgerPlaces.first_index)
)
# Every fold has entries for every first byte, but for a chance in millions: one byte tells for all.
_COUNT_SMALL = (
    select(func.count())
    .select_from(LedgerPlaces)
    .where(LedgerPlaces.bucket == 0, LedgerPlaces.is_joined.is_(False))
)
_DROP_FROM = delete(LedgerPlaces.__table__).where(  # type: ignore[arg-type]
    LedgerPlaces.__table__.c.bucket == bindparam("of"),
    LedgerPlaces.__table__.c.first_index >= bindparam("first"),
)
_ADD_RECENT = insert(LedgerRecent.__table__)  # type: ignore[arg-type]
_ADD_PLACES = insert(LedgerPlaces.__table__)  # type: ignore[arg-type]
