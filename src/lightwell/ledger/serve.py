"""The public side of a ledger over HTTP: C2SP tlog-tiles files, and proofs ready made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Protocol

from litestar import Response, get
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter, SkipValidation
from sqlalchemy import select

from lightwell.base.db import Database
from lightwell.base.errors import Problem
from lightwell.base.labels import declare_cache
from lightwell.base.settings import CellSettings
from lightwell.base.threads import in_thread
from lightwell.ledger.assignment import count_waiting, published
from lightwell.ledger.models import WitnessState
from lightwell.ledger.places import integrated
from lightwell.ledger.sequencer import origin_of, policy_of
from lightwell.ledger.storage import Storage, open_storage, read_tile_file, tile_reader
from lightwell.wire import base64_strict, tiles
from lightwell.wire import checkpoint as checkpoints
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.keys import SigningKey
from lightwell.wire.note import split_note
from lightwell.wire.tiles import CHECKPOINT_PATH, TileError
from lightwell.wire.trust import Known

declare_cache("ledger.serve", "open ledgers", "system.operations", "interop")

# Anyone's page may read a public ledger.
_OPEN = {"access-control-allow-origin": "*"}
_IMMUTABLE = "public, max-age=31536000, immutable"


class _Vault(Protocol):
    def signing_key(self, name: str) -> SigningKey: ...


class LedgerHost(Protocol):
    """What the handlers need of a cell; the floors above hand it in as `cell`."""

    @property
    def settings(self) -> CellSettings:
        """The cell's settings."""

    @property
    def database(self) -> Database:
        """The cell's database."""

    @property
    def vault(self) -> _Vault:
        """Where the ledger's key is."""


Host = NamedDependency[SkipValidation[Any]]


@get("/ledger/checkpoint", cache_control=CacheControlHeader(no_cache=True))
@in_thread
def get_checkpoint(cell: Host) -> Response[bytes]:
    """Answer the newest checkpoint, with its witnesses' cosignatures."""
    note = _storage(cell).read(CHECKPOINT_PATH)
    if note is None:
        raise Problem(404, "no-checkpoint-yet", "The ledger has published no checkpoint yet.")
    return Response(note, media_type="text/plain", headers=_OPEN)


@get("/ledger/tile/{path:path}")
@in_thread
def get_tile(cell: Host, path: FromPath[str]) -> Response[bytes]:
    """Answer a tile (`<level>/<index>[.p/<width>]`) or an entry bundle (`entries/...`)."""
    try:
        data = read_tile_file(_storage(cell), f"tile/{path.lstrip('/')}")
    except TileError:
        data = None
    if data is None:
        raise Problem(404, "not-found", "The ledger has no such tile.")
    headers = {**_OPEN, "cache-control": _IMMUTABLE}
    return Response(data, media_type="application/octet-stream", headers=headers)


@get("/ledger/proof")
@in_thread
def get_proof(
    cell: Host, leaf: Annotated[str, QueryParameter(pattern=r"^[0-9a-f]{64}$")]
) -> Response[dict[str, Any]]:
    """Answer where the entry of leaf hash `leaf` (hex) is in the tree, with proof and checkpoint."""
    host: LedgerHost = cell
    wanted = bytes.fromhex(leaf)
    with host.database.read() as session:
        index = integrated(session, [wanted]).get(wanted)
    storage = _storage(cell)
    note = storage.read(CHECKPOINT_PATH)
    checkpoint = _parse(note)
    if note is None or checkpoint is None or index is None or index >= checkpoint.size:
        raise Problem(404, "not-yet-integrated", "No published checkpoint covers an entry of this hash yet.")
    proof = tiles.inclusion_proof(tile_reader(storage), index, checkpoint.size)
    body = {
        "index": index,
        "size": checkpoint.size,
        "proof": [base64_strict.encode(step) for step in proof],
        "checkpoint": note.decode(),
    }
    return Response(body, headers={**_OPEN, "cache-control": "no-cache"})


@get("/ledger/status")
@in_thread
def get_status(cell: Host) -> Response[dict[str, Any]]:
    """Answer the ledger's name and key, how far it is, and what each witness has cosigned."""
    host: LedgerHost = cell
    with host.database.read() as session:
        state = published(session)
        heard = {row.url: row for row in session.scalars(select(WitnessState))}
        waiting = count_waiting(session)
    policy = policy_of(host.settings)
    witnesses = []
    for known in policy.witnesses.values():
        row = heard.get(known.url.rstrip("/"))
        witnesses.append(
            {
                "name": known.verifier.name,
                "vkey": known.verifier.vkey(),
                "cosigned_size": row.cosigned_size if row else 0,
                "cosigned_at": row.cosigned_at if row else None,
                "problem": row.problem if row else None,
            }
        )
    body = {
        "origin": origin_of(host.settings.cell),
        "vkey": host.vault.signing_key("ledger").verifier().vkey(),
        "size": state.integrated_size if state else 0,
        "waiting": waiting,
        "checkpoint_at": state.integrated_at if state else None,
        "waits_for": state.waits_for if state else "",
        "witnesses": witnesses,
    }
    return Response(body, headers={**_OPEN, "cache-control": "no-cache"})


@get("/ledger/policy")
@in_thread
def get_policy(cell: Host) -> Response[bytes]:
    """Answer the trust policy (C2SP tlog-policy) that the cell itself keeps to.

    A reader takes it from the cell for comfort only: whom to believe is for the reader to say.
    """
    host: LedgerHost = cell
    own = Known(host.vault.signing_key("ledger").verifier(), f"{host.settings.url}/ledger")
    data = replace(policy_of(host.settings), logs=(own,)).encode()
    return Response(data, media_type="text/plain", headers={**_OPEN, "cache-control": "no-cache"})


routes: Sequence[HTTPRouteHandler] = (get_checkpoint, get_tile, get_proof, get_status, get_policy)
"""The handlers; the application gives them `cell` as a dependency."""


def _storage(cell: LedgerHost) -> Storage:
    return _opened(cell.settings)


@cache
def _opened(settings: CellSettings) -> Storage:
    return open_storage(settings)


def _parse(note: bytes | None) -> Checkpoint | None:
    # Our own file: its text is read here, its signature is for those who get it.
    return None if note is None else checkpoints.parse(split_note(note.decode())[0])
