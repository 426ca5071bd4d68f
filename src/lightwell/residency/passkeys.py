"""Passkeys of staff (WebAuthn Level 3): a person proves presence and identity; no secret crosses the wire."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import func, select
from webauthn.helpers import base64url_to_bytes, options_to_json, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.ledger.queue import enqueue
from lightwell.residency.access_models import StaffPasskeyRow, StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.staff import CHALLENGE_MS, open_session, principal_of
from lightwell.wire.entries import DirectoryChanged, minute

MOST: Final = 5
"""Passkeys that one member may have."""

_LOOPBACK: Final = ("127.0.0.1", "::1")


def site_of(cell: Cell) -> tuple[str, list[str]]:
    """Return the relying party's id and the origins whose pages may use it.

    A passkey belongs to a domain name, never to an address: a cell at a loopback address is `localhost`.
    """
    url = urlsplit(cell.settings.url)
    host = url.hostname or ""
    if host in _LOOPBACK:
        return "localhost", [f"{url.scheme}://localhost:{url.port}"]
    return host, [f"{url.scheme}://{url.netloc}"]


def creation_options(cell: Cell, session: ReadSession, who: Principal) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON: what a browser needs to make a member a passkey.

    Raises:
        Problem: 409 the member has `MOST` passkeys already.
    """
    held = session.scalars(select(StaffPasskeyRow).where(StaffPasskeyRow.staff_id == who.id)).all()
    if len(held) >= MOST:
        raise Problem(409, "too-many-passkeys", f"A member of staff has at most {MOST} passkeys.")
    site, _ = site_of(cell)
    options = webauthn.generate_registration_options(
        rp_id=site,
        rp_name=f"Lightwell staff, {cell.settings.cell}",
        user_id=who.id.encode(),
        user_name=session.get_one(StaffRow, who.id).name,
        challenge=_challenge(cell, "add", who.id, now_ms()),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=row.credential_id) for row in held],
    )
    made: dict[str, Any] = json.loads(options_to_json(options))
    return made


def add(cell: Cell, session: WriteSession, who: Principal, credential: dict[str, Any]) -> None:
    """Keep the passkey that a member's browser made; the directory's change is an entry.

    Args:
        cell: where it will sign in.
        session: the caller's transaction.
        who: the signed-in member.
        credential: RegistrationResponseJSON.

    Raises:
        Problem: 422 the credential is malformed, stale, for another site, or made without the person.
    """
    site, origins = site_of(cell)
    challenge = _answered(credential)
    _check(cell, "add", who.id, challenge, now_ms())
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site,
            expected_origin=origins,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise Problem(422, "unusable-passkey", "This passkey could not be verified.") from error
    count = session.scalar(
        select(func.count()).select_from(StaffPasskeyRow).where(StaffPasskeyRow.staff_id == who.id)
    )
    taken = session.get(StaffPasskeyRow, verified.credential_id)
    if taken is not None or (count or 0) >= MOST or len(verified.credential_id) > 1023:
        raise Problem(409, "passkey-taken", "This passkey is known already, or there are too many.")
    session.add(
        StaffPasskeyRow(
            credential_id=verified.credential_id,
            staff_id=who.id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            added_at=now_ms(),
        )
    )
    session.flush()
    enqueue(
        session, DirectoryChanged(at=minute(now_ms() // 1000), change="changed", what=["passkey"], ended=0)
    )


def request_options(cell: Cell) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON: what a browser needs to sign in with a passkey."""
    site, _ = site_of(cell)
    options = webauthn.generate_authentication_options(
        rp_id=site,
        challenge=_challenge(cell, "use", "", now_ms()),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    made: dict[str, Any] = json.loads(options_to_json(options))
    return made


def sign_in(cell: Cell, session: WriteSession, credential: dict[str, Any]) -> tuple[Principal, str]:
    """Open a session for whoever answered a fresh challenge with a passkey of the directory.

    Args:
        cell: where sign-in happens.
        session: the caller's transaction.
        credential: AuthenticationResponseJSON.

    Returns:
        The principal and the session's token.

    Raises:
        Problem: 401 `wrong-credentials` for every way in which this can be wrong.
    """
    wrong = Problem(401, "wrong-credentials", "This passkey does not open the staff desk.")
    now = now_ms()
    site, origins = site_of(cell)
    try:
        challenge = _answered(credential)
        _check(cell, "use", "", challenge, now)
        key = session.get(StaffPasskeyRow, base64url_to_bytes(str(credential["id"])), with_for_update=True)
        row = None if key is None else session.get(StaffRow, key.staff_id)
        if key is None or row is None or not row.active:
            raise wrong
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site,
            expected_origin=origins,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise wrong from error
    key.sign_count = verified.new_sign_count
    return principal_of(cell, session, row), open_session(cell, session, row, challenge.decode("ascii"), now)


def _challenge(cell: Cell, what: str, staff_id: str, now: int) -> bytes:
    # Nothing is stored: the tag says that this cell made it, for what, for whom and until when.
    head = f"{secrets.token_hex(16)}.{now + CHALLENGE_MS}"
    return f"{head}.{_tag(cell, what, staff_id, head)}".encode()


def _check(cell: Cell, what: str, staff_id: str, challenge: bytes, now: int) -> None:
    text = challenge.decode("ascii", "replace")
    head, _, tag = text.rpartition(".")
    good = secrets.compare_digest(tag.encode(), _tag(cell, what, staff_id, head).encode())
    if not good or not now < int(head.partition(".")[2]) <= now + CHALLENGE_MS:
        raise Problem(422, "stale-challenge", "This challenge is not fresh; try again.")


def _answered(credential: dict[str, Any]) -> bytes:
    try:
        data = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise Problem(422, "unusable-passkey", "This is no answer of a passkey.") from error
    return data.challenge


def _tag(cell: Cell, what: str, staff_id: str, head: str) -> str:
    return cell.vault.blind_index("staff.passkey", f"{what}.{staff_id}.{head}").hex()[:48]
