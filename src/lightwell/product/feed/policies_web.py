"""Ranking policies over HTTP: anybody reads them; a signed paper proposes, approves or adopts one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.handlers import BaseRouteHandler
from msgspec import Meta, Struct

from lightwell.agreement.papers import MAX_PAPER_CHARACTERS
from lightwell.base.errors import not_found
from lightwell.base.threads import in_thread
from lightwell.product.feed import policies
from lightwell.recommender.policy_file import LONGEST
from lightwell.residency.cell import Cell

Note = Annotated[str, Meta(max_length=MAX_PAPER_CHARACTERS)]
_DIGEST_HEX = 64


class ProposalForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A policy file and the signed paper that proposes it."""

    file: Annotated[str, Meta(max_length=LONGEST)]
    paper: Note


class PaperForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A signed paper."""

    paper: Note


@get("/api/policies")
@in_thread
def list_policies(cell: Cell) -> dict[str, Any]:
    """List the policies adopted here, newest first, and those that wait for approval."""
    with cell.database.read() as session:
        return {"policies": policies.history(cell, session)}


@get("/api/policies/{digest:str}")
@in_thread
def read_policy(cell: Cell, digest: str) -> Response[bytes]:
    """Return a policy's canonical bytes, which hash to its digest."""
    if len(digest) != _DIGEST_HEX or not digest.isascii():
        raise not_found("policy")
    with cell.database.read() as session:
        body = policies.body_of(session, digest)
    return Response(body, media_type="application/json")


@post("/api/policies", status_code=201)
@in_thread
def propose_policy(data: ProposalForm, cell: Cell) -> dict[str, Any]:
    """Propose a policy; refusals as in `policies.propose`."""
    with cell.database.write() as session:
        return msgspec.structs.asdict(policies.propose(cell, session, data.file, data.paper))


@post("/api/policies/approvals", status_code=200)
@in_thread
def approve_policy(data: PaperForm, cell: Cell) -> dict[str, Any]:
    """Approve a proposed policy; refusals as in `policies.approve`."""
    with cell.database.write() as session:
        return msgspec.structs.asdict(policies.approve(cell, session, data.paper))


@post("/api/policies/adoptions", status_code=200)
@in_thread
def adopt_policy(data: PaperForm, cell: Cell) -> dict[str, Any]:
    """Adopt an approved policy; refusals as in `policies.adopt`."""
    with cell.database.write() as session:
        return msgspec.structs.asdict(policies.adopt(cell, session, data.paper))


routes: list[BaseRouteHandler] = [list_policies, read_policy, propose_policy, approve_policy, adopt_policy]
