"""Passkeys over HTTP: made by a signed-in member of staff, and used to sign in without a key file."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from msgspec import Struct

from lightwell.base.threads import in_thread
from lightwell.residency import access_web, passkeys
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal


class PasskeyForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What the browser's authenticator answered, as WebAuthn's JSON has it."""

    credential: dict[str, Any]


@post("/api/staff/passkeys/options", status_code=200)
@in_thread
def offer_passkey(cell: Cell, staff: Principal) -> dict[str, Any]:
    """Give a signed-in member what a browser needs to make a passkey, within two minutes."""
    with cell.database.read() as session:
        return passkeys.creation_options(cell, session, staff)


@post("/api/staff/passkeys", status_code=201)
@in_thread
def add_passkey(data: PasskeyForm, cell: Cell, staff: Principal) -> dict[str, str]:
    """Keep a passkey of the signed-in member."""
    with cell.database.write() as session:
        passkeys.add(cell, session, staff, data.credential)
    return {"status": "added"}


@post("/api/staff/passkey-session/options", status_code=200)
@in_thread
def ask_passkey(cell: Cell) -> dict[str, Any]:
    """Give what a browser needs to sign in with a passkey, within two minutes."""
    return passkeys.request_options(cell)


@post("/api/staff/passkey-session", status_code=200)
@in_thread
def sign_in_by_passkey(
    data: PasskeyForm, cell: Cell, request: Request[Any, Any, Any]
) -> Response[dict[str, Any]]:
    """Sign in with a passkey; the answer sets the staff cookie."""
    with cell.database.write() as session:
        who, token = passkeys.sign_in(cell, session, data.credential)
        return access_web.signed_in_answer(session, who, token, request)


routes = [offer_passkey, add_passkey, ask_passkey, sign_in_by_passkey]
