"""Measures the gateway's inspection: bytes a second on one core, false alarms, and what it finds disguised.

Inspected are whole transfers as the flow of published videos carries them, a message and its media, among
1,000,000 guarded values: the message's texts go through exact match (in a row, across each pair of fields,
backwards), patterns and decoding; the media through its structure, its digest and its headers' texts. Beside
it, each alone: messages (small, so their cost is the call's), one long text, and media. The captions are made
up (see `tests.factories.disguises`), and, where LIGHTWELL_CAPTIONS names a file, its lines as well.
"""

import hashlib
import json
import os
import random
import secrets
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from tests.factories import held_out
from tests.factories.disguises import FIELDS, ONE_FIELD, captions

from lightwell.base.clock import fresh_id, now_ms
from lightwell.residency import inspection, media_metadata, tripwires
from lightwell.residency.gateway_rules import texts_to_inspect
from lightwell.residency.scan import Marks

GUARDED = 1_000_000
CAPTIONS = 100_000
MESSAGES = 5_000
GOAL_MB = 20
BATCH = 200
HELD_OUT = 20_000
HIDDEN = 1_000
SECRETS = (
    "+1 (555) 010-7788",
    "ana.lopez@mail-of-mine.example",
    "742 Evergreen Terrace, Springfield",
    "203.0.113.77",
    "canary-face-7f3a9c21e4",
    "Maria-Antonia Quillon",
    "37.42199, -122.08408",
)


def measure() -> list[dict[str, Any]]:
    marks = Marks(secrets.token_bytes(16))
    made = (f"{secrets.token_hex(5)}{number % 97}".encode() for number in range(GUARDED))
    marks.add(marks.mark(form) for form in made)
    marks.add(marks.mark(form) for value in SECRETS for form in tripwires._forms(value))
    lines = captions(CAPTIONS, seed=5) + _real_captions()
    messages = [_message(lines[number]) for number in range(MESSAGES)]
    size = sum(len(json.dumps(one, ensure_ascii=False).encode()) for one in messages)
    _inspected(marks, messages[:200])
    spent, _ = _inspected(marks, messages)
    long = "\n".join(lines)
    begun = time.process_time()
    inspection.inspect(marks, [long], "US")
    long_spent = time.process_time() - begun
    begun = time.process_time()
    hashlib.sha256(long.encode()).digest()
    floor_spent = time.process_time() - begun
    together = _together(marks, messages)
    alarms = [line for line in lines if inspection.inspect(marks, [line], "US") is not None]
    tries, missed = _recall(marks)
    clip = _clip()
    begun = time.process_time()
    for _ in range(10):
        heads = media_metadata.headers("540.mp4", clip)
        hashlib.sha256(clip).hexdigest()
        inspection._marked(marks, [heads.decode("latin-1")])
    media_spent = (time.process_time() - begun) / 10
    for name in missed[:20]:
        print("missed:", name)
    for line in alarms[:20]:
        print("false alarm:", line)
    return [
        _row(
            "gateway",
            (size / MESSAGES + len(clip)) / (spent / MESSAGES + media_spent) / 1e6,
            "MB/s on one core, a message with 1 MB of media",
            GOAL_MB,
        ),
        _row("gateway_messages", size / spent / 1e6, "MB/s on one core, messages alone", GOAL_MB),
        _row("gateway_batches", size / together / 1e6, f"MB/s, {BATCH} messages at once", GOAL_MB),
        _row(
            "gateway_message_us",
            spent / MESSAGES * 1e6,
            "microseconds a message",
            None,
            better="lower",
        ),
        _row("gateway_floor", len(long.encode()) / floor_spent / 1e6, "MB/s, SHA-256 of the long text", None),
        _row("gateway_text", len(long.encode()) / long_spent / 1e6, "MB/s on one core, a long text", GOAL_MB),
        _row("gateway_media", len(clip) / media_spent / 1e6, "MB/s on one core, media alone", GOAL_MB),
        _row("gateway_false_alarms", len(alarms), f"alarms on {len(lines):,} captions", 0, better="lower"),
        *_held_out(),
        _row("gateway_recall", (tries - len(missed)) / tries, f"of {tries} disguised values found", 1.0),
    ]


def _together(marks: Marks, messages: list[dict[str, Any]]) -> float:
    begun = time.process_time()
    for at in range(0, len(messages), BATCH):
        texts = [texts_to_inspect(one) for one in messages[at : at + BATCH]]
        inspection.inspect_each(marks, texts, "US")
    return time.process_time() - begun


def _held_out() -> list[dict[str, Any]]:
    """Measure on what nothing was tuned with; each run draws other captions and disguises."""
    seed = secrets.randbelow(10**9)
    lines = held_out.captions(HELD_OUT, seed)
    empty = Marks(secrets.token_bytes(16))
    alarms = sum(
        trip is not None
        for at in range(0, len(lines), BATCH)
        for trip in inspection.inspect_each(empty, [[one] for one in lines[at : at + BATCH]], "US")
    )
    marks, draw = Marks(secrets.token_bytes(16)), random.Random(seed)
    values = [value for value in held_out.secrets(HIDDEN, seed + 1) if [*tripwires._forms(value)]]
    marks.add(marks.mark(form) for value in values for form in tripwires._forms(value))
    tries: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for value in values:
        name, fields = held_out.disguised(value, draw)
        tries[name] += 1
        found[name] += inspection.inspect(marks, fields, "US") is not None
    print(f"held out, seed {seed}:")
    for name in sorted(tries):
        print(f"  {name}: {found[name]} of {tries[name]}")
    unit = f"of {tries.total()} values in disguises composed at random, held out"
    return [
        _row(
            "gateway_held_out_alarms",
            alarms * 100_000 / len(lines),
            f"alarms per 100,000, on {len(lines):,} captions held out",
            0,
            better="lower",
        ),
        _row("gateway_held_out_recall", found.total() / tries.total(), unit, 1.0),
    ]


def _inspected(marks: Marks, messages: list[dict[str, Any]]) -> tuple[float, int]:
    begun = time.process_time()
    found = sum(inspection.inspect(marks, texts_to_inspect(one), "US") is not None for one in messages)
    return time.process_time() - begun, found


def _recall(marks: Marks) -> tuple[int, list[str]]:
    missed, tries = [], 0
    for value in SECRETS:
        for name, encode in ONE_FIELD.items():
            tries += 1
            if inspection.inspect(marks, ["a title", encode(value), "#fold"], "US") is None:
                missed.append(f"{value}, {name}: {encode(value)!r}")
        for name, split in FIELDS.items():
            tries += 1
            if inspection.inspect(marks, ["a title", *split(value), "#fold"], "US") is None:
                missed.append(f"{value}, {name}: {split(value)!r}")
    return tries, missed


def _message(caption: str) -> dict[str, Any]:
    digest = secrets.token_hex(32)
    return {
        "video_id": fresh_id(),
        "origin_cell": "us",
        "creator_handle": "mira.folds",
        "creator_name": "Mira Folds",
        "caption": caption,
        "hashtags": ["origami", "fyp"],
        "sound_title": "Sunday Drive",
        "sound_artist": "The Paper Birds",
        "duration_ms": 12_000,
        "width": 720,
        "height": 1280,
        "published_at": now_ms(),
        "media": dict.fromkeys(("540.mp4", "720.mp4", "poster.jpg"), digest),
    }


def _clip() -> bytes:
    def box(kind: bytes, content: bytes) -> bytes:
        return (len(content) + 8).to_bytes(4, "big") + kind + content

    return box(b"ftyp", b"isom") + box(b"moov", b"") + box(b"mdat", secrets.token_bytes(1_000_000))


def _real_captions() -> list[str]:
    named = os.environ.get("LIGHTWELL_CAPTIONS")
    return Path(named).read_text("utf-8").splitlines() if named else []


def _row(name: str, value: float, unit: str, goal: float | None, better: str = "higher") -> dict[str, Any]:
    shown = round(value, 3 if value <= 1 else 1)
    return {
        "name": name,
        "value": shown,
        "unit": unit,
        "better": better,
        "goal": goal,
        "peer": None,
        "ratio": None,
    }


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(measure())).decode())
