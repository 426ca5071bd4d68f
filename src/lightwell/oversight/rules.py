"""What an entry means to the monitor: transfers and requests are kept by id, broken rules are named."""

import sqlite3

import msgspec

from lightwell.wire import entries as kinds


class Breach(msgspec.Struct, frozen=True):
    """A rule of the agreement's machinery that an entry breaks, before any term is judged."""

    key: str
    area: str
    title: str
    detail: str
    entries: list[int]
    gather: bool = False
    """Whether entries that the same finding showed before stay."""


def digest_entry(db: sqlite3.Connection, cell: str, index: int, entry: object) -> list[Breach]:
    """Take one entry in order and return what it breaks.

    Args:
        db: the write connection, in the transaction that stores the entry.
        cell: whose ledger.
        index: the entry's index.
        entry: the decoded entry; an unknown one is taken as it is.
    """
    match entry:
        case kinds.TransferSent() | kinds.TransferReceived():
            side = "sent" if isinstance(entry, kinds.TransferSent) else "received"
            db.execute(
                """INSERT OR REPLACE INTO transfers (cell, idx, side, transfer, flow, peer, digest, size, at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    cell,
                    index,
                    side,
                    entry.transfer,
                    entry.flow,
                    entry.peer,
                    entry.digest,
                    entry.size,
                    entry.at,
                ),
            )
        case kinds.AccessRequested():
            _open_request(db, cell, index, entry)
        case kinds.AccessDecided():
            return _decide(db, cell, index, entry)
        case kinds.AccessOpened():
            return _open_emergency(db, cell, index, entry)
        case kinds.AccessUsed():
            return _use(db, cell, index, entry)
        case kinds.AccessEnded():
            db.execute(
                "UPDATE requests SET ended = ?, ended_idx = ?, ended_at = ? WHERE cell = ? AND request = ?",
                (entry.why, index, entry.at, cell, entry.request),
            )
        case kinds.PolicyAdopted():
            db.execute("INSERT OR IGNORE INTO named VALUES (?, ?, ?)", (cell, entry.digest, index))
        case kinds.SnapshotPublished():
            db.execute("INSERT OR IGNORE INTO named VALUES (?, ?, ?)", (cell, entry.snapshot, index))
        case kinds.SlateServed():
            return _slate(db, cell, index, entry)
        case _:
            pass
    return []


def _open_request(db: sqlite3.Connection, cell: str, index: int, entry: kinds.AccessRequested) -> None:
    fields = msgspec.json.encode(entry.fields).decode()
    db.execute(
        """INSERT INTO requests (cell, request, seen_idx, purpose, fields, place, role, at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (cell, request) DO UPDATE SET
        purpose = excluded.purpose, fields = excluded.fields""",
        (cell, entry.request, index, entry.purpose, fields, entry.place, entry.role, entry.at),
    )


def _decide(db: sqlite3.Connection, cell: str, index: int, entry: kinds.AccessDecided) -> list[Breach]:
    known = db.execute(
        "SELECT purpose FROM requests WHERE cell = ? AND request = ?", (cell, entry.request)
    ).fetchone()
    db.execute(
        """INSERT INTO requests (cell, request, seen_idx, place, role, at, outcome, reason,
          approvals, expires_at, decided_idx, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (cell, request) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason,
          approvals = excluded.approvals, expires_at = excluded.expires_at,
          decided_idx = excluded.decided_idx, decided_at = excluded.decided_at""",
        (
            cell, entry.request, index, entry.place, entry.role, entry.at, entry.outcome, entry.reason,
            entry.approvals, entry.expires_at, index, entry.at,
        ),
    )  # fmt: skip
    if entry.outcome == "granted" and known is None:
        return [
            Breach(
                f"access-{entry.request}-unrequested",
                "access",
                "Access granted that nobody asked for",
                f"Entry {index} grants request {entry.request}, which no earlier entry opens.",
                [index],
            )
        ]
    return []


def _open_emergency(db: sqlite3.Connection, cell: str, index: int, entry: kinds.AccessOpened) -> list[Breach]:
    db.execute(
        """INSERT INTO requests (cell, request, seen_idx, place, role, at, outcome, reason,
          approvals, expires_at, decided_idx, decided_at) VALUES (?, ?, ?, ?, ?, ?, 'granted', ?, ?, ?, ?, ?)
        ON CONFLICT (cell, request) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason,
          approvals = excluded.approvals, expires_at = excluded.expires_at,
          decided_idx = excluded.decided_idx, decided_at = excluded.decided_at""",
        (
            cell, entry.request, index, entry.place, entry.role, entry.at,
            "emergency-alarm" if entry.alarmed else "emergency", entry.witnesses, entry.expires_at, index,
            entry.at,
        ),
    )  # fmt: skip
    if not entry.alarmed:
        return []
    return [
        Breach(
            f"access-{entry.request}-alarm",
            "access",
            "Alarm: an emergency was opened without witnesses",
            f"Entry {index} opens request {entry.request} on one person's word; it must be reviewed.",
            [index],
        )
    ]


def _use(db: sqlite3.Connection, cell: str, index: int, entry: kinds.AccessUsed) -> list[Breach]:
    row = db.execute(
        "SELECT * FROM requests WHERE cell = ? AND request = ?", (cell, entry.request)
    ).fetchone()
    wrong = ""
    if row is None or row["outcome"] != "granted":
        wrong = "no entry before it grants the request"
    elif row["ended_idx"] is not None:
        wrong = f"the grant had ended ({row['ended']}) at entry {row['ended_idx']}"
    elif row["expires_at"] and entry.at > row["expires_at"]:
        wrong = "the grant had run out"
    elif not set(entry.fields) <= set(msgspec.json.decode(row["fields"], type=list[str])):
        wrong = "it read fields that were not asked for"
    db.execute(
        "UPDATE requests SET uses = uses + 1, last_use_idx = ? WHERE cell = ? AND request = ?",
        (index, cell, entry.request),
    )
    if not wrong:
        return []
    shown = [index] if row is None or row["decided_idx"] is None else [row["decided_idx"], index]
    return [
        Breach(
            f"access-use-{index}",
            "access",
            "Protected data read without a live grant",
            f"Entry {index} reads under request {entry.request}, but {wrong}.",
            shown,
        )
    ]


def _slate(db: sqlite3.Connection, cell: str, index: int, entry: kinds.SlateServed) -> list[Breach]:
    # Invariant 9: nothing that changes reach may serve before the ledger names it.
    breaches = []
    for word, digest in (("policy", entry.policy), ("snapshot", entry.snapshot)):
        known = db.execute("SELECT 1 FROM named WHERE cell = ? AND digest = ?", (cell, digest)).fetchone()
        if known is None:
            breaches.append(
                Breach(
                    f"unnamed-{word}-{digest}",
                    "feed",
                    f"Slates ranked with a {word} the ledger had not named",
                    f"Entry {index} serves a slate ranked with {word} {digest[:12]}, not named before.",
                    [index],
                )
            )
    return breaches
