"""Trains a model: from facts and events alone to a base snapshot, its manifest and its model card."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from lightwell import recommender
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.features import FEATURES
from lightwell.recommender.fit.items import GraphSettings
from lightwell.recommender.fit.model import Model, ModelSettings, fit_model
from lightwell.recommender.fit.past import Past
from lightwell.recommender.fit.spread import Spread, in_turn
from lightwell.recommender.graph import Graph
from lightwell.recommender.happened import EVENT, KINDS, Events
from lightwell.recommender.ranker import Ranker
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, build_base, code_digest, known

_CARD: Final = """# Model {digest}

Ranks short videos for the viewers of one cell. Trained from that cell's own events and from nothing else;
events of people whose accounts were erased before the training began are not among them.

- Events: {events:,} of {viewers:,} viewers, up to {until} UTC; digest {events_digest}
- Videos: {videos:,}, with {edges:,} edges of the item graph
- Trees: {trees}
- Settings: digest {settings_digest}
- Code: digest {code}

Meant for: the order of the personal feed under a ranking policy. Not meant for: any judgement about a person.
Known limits: it knows what was watched, not why; videos chosen by an earlier model are watched more, and so
count for more. Counters go on from here by updates, each named in the ledger.
"""


class Trained(msgspec.Struct, frozen=True):
    """A model on the local disk, by digest."""

    snapshot: str
    events: str
    settings: str
    code: str
    videos: int
    manifest: bytes
    card: bytes

    @property
    def manifest_digest(self) -> str:
        """SHA-256 of the manifest, in hex: what the ledger names the model's folder by."""
        return hashlib.sha256(self.manifest).hexdigest()


class TrainingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that training depends on besides events and code: how events are counted, how a model is fitted.

    A cell of a million videos and ten million events is to be done within minutes and a few GiB: so the
    regression covers the 8,000 videos watched most, and trees learn from two days before the last event.
    """

    v: int = 1
    counts: TrainSettings = TrainSettings()
    model: ModelSettings = ModelSettings(graph=GraphSettings(head=8_000, edges=40_000_000), horizons=2)

    @property
    def digest(self) -> str:
        """SHA-256 of the settings, in hex."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


def train(
    facts: Sequence[VideoFact],
    events: Events,
    settings: TrainingSettings,
    minute: int,
    out: Path,
    spread: Spread = in_turn,
) -> Trained:
    """Train, and write the base snapshot to `out`; the same arguments give the same bytes.

    Args:
        facts: every published video.
        events: what viewers did, in the order in which it was accepted.
        settings: named in the manifest by digest.
        minute: whole minutes since 1970 at which the counters stand.
        out: the file to write.
        spread: works on parts of the fit; it changes no byte.
    """
    facts = sorted(facts, key=lambda fact: fact.id)
    model = _fit(facts, events, settings, minute, spread)
    digest = hashlib.sha256()
    pieces = build_base(
        facts, events, settings.counts, minute,
        graph=model.graph, ranker=model.ranker, features=len(FEATURES) if model.ranker else 0,
    )  # fmt: skip
    with out.open("wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    name, code = digest.hexdigest(), training_code()
    made: dict[str, Any] = {
        "events": events_digest(events),
        "settings_digest": settings.digest,
        "code": code,
        "minute": minute,
        "videos": len(facts),
    }
    metrics = _metrics(events, out) | {"examples": model.examples}
    card = _card(name, made, metrics)
    manifest = {
        "v": 1,
        "snapshot": name,
        "settings": settings,
        "metrics": metrics,
        "card": hashlib.sha256(card).hexdigest(),
        **made,
    }
    return Trained(
        snapshot=name,
        events=made["events"],
        settings=settings.digest,
        code=code,
        videos=len(facts),
        manifest=msgspec.json.encode(manifest, order="sorted"),
        card=card,
    )


def events_digest(events: Events) -> str:
    """SHA-256 over the events in their order, each as the bytes of `happened.EVENT`."""
    return hashlib.sha256(np.ascontiguousarray(events, dtype=EVENT).tobytes()).hexdigest()


def training_code() -> str:
    """Digest of the recommender's own source as it runs here; a changed line is another one in the ledger."""
    folder = Path(recommender.__file__).parent
    return code_digest({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")})


def _fit(
    facts: Sequence[VideoFact], events: Events, settings: TrainingSettings, minute: int, spread: Spread
) -> Model:
    ids = np.array([int(fact.id, 16) for fact in facts], dtype=np.uint64)
    there, at = known(events, ids, minute)

    def snapshot_at(start: int, graph: Graph, ranker: Ranker) -> Snapshot:
        # That minute itself has not begun.
        so_far = there[there["minute"] < start]
        pieces = build_base(
            facts, so_far, settings.counts, start, graph=graph, ranker=ranker, features=len(FEATURES)
        )
        return Snapshot.from_bytes(b"".join(pieces))

    past = Past.of(ids, there, at)
    return fit_model(past, minute + 1, settings.model, snapshot_at, _untold, spread)


def _untold(_what: str, _done: int, _total: int) -> None:
    """Nobody watches the progress of a training in a cell."""


def _metrics(events: Events, out: Path) -> dict[str, Any]:
    counts = np.bincount(events["kind"], minlength=len(KINDS)).tolist()
    # Mapped, not read: a large one would be in memory twice.
    built = Snapshot.from_bytes(np.memmap(out, dtype=np.uint8, mode="r").data)
    views, longs = int(built.views.sum()), int(built.longs.sum())
    return {
        "events": int(events.size),
        "by_kind": dict(zip(KINDS, counts, strict=True)),
        "viewers": int(np.unique(events["viewer"]).size),
        "views": views,
        "long_per_mille": 1000 * longs // max(views, 1),
        "edges": int(built.near.size),
        "trees": built.ranker.trees if built.ranker else 0,
    }


def _card(name: str, made: dict[str, Any], metrics: dict[str, Any]) -> bytes:
    until = np.datetime64(made["minute"], "m")
    text = _CARD.format(
        digest=name,
        until=str(until).replace("T", " "),
        events_digest=made["events"],
        events=metrics["events"],
        viewers=metrics["viewers"],
        videos=made["videos"],
        edges=metrics["edges"],
        trees=metrics["trees"] or "none; scores are sums of points",
        settings_digest=made["settings_digest"],
        code=made["code"],
    )
    return text.encode()
