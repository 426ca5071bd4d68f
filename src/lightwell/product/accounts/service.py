"""Sign up, sign in and sign out; protected fields are sealed before they reach a row."""

import re
import secrets
from datetime import UTC, date, datetime

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select, update

from lightwell.base.clock import fresh_id, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.product.accounts import ages, queries
from lightwell.product.accounts.models import AccountRow, SessionRow
from lightwell.product.accounts.queries import Account
from lightwell.residency import tripwires
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Resource
from lightwell.residency.in_force import require_allowed

# OWASP's second recommended setting for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_DECOY = _HASHER.hash(secrets.token_hex(16))
_HANDLE = re.compile(r"[a-z0-9_.]{2,24}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{2,24}")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{5,22}[0-9]")
SESSION_SECONDS = 30 * 24 * 3600
MIN_AGE_YEARS = 13

DETAILS = {
    "email": "user.contact.email",
    "phone": "user.contact.phone_number",
    "birthday": "user.demographic.date_of_birth",
    "address": "user.contact.address",
    "sign_in_ip": "user.device.ip_address",
    "device": "user.device",
}


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    """What a person gives to get an account; `birthday` is YYYY-MM-DD."""

    handle: str
    password: str
    display_name: str
    email: str
    birthday: str
    phone: str | None = None
    address: str | None = None


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Handle and password."""

    handle: str
    password: str


def sign_up(cell: Cell, form: SignUp, ip: str, device: str) -> tuple[Account, str]:
    """Create an account whose protected fields are sealed under a fresh key of its own, and sign it in.

    Args:
        cell: the home cell.
        form: what the person typed.
        ip: the address the request came from.
        device: the browser's name of itself, at most 200 characters are kept.

    Returns:
        The account and the token of its first session.

    Raises:
        Problem: 403 sign-ups are suspended; 409 handle or e-mail taken; 422 a field is not usable.
    """
    check_form(form)
    # Hashing takes tens of milliseconds: it is done before the transaction takes the write lock.
    password = _HASHER.hash(form.password)
    with cell.database.write() as session:
        account = _create(cell, session, form, password, ip, device)
        return account, _open_session(cell, session, account)


def _create(cell: Cell, session: WriteSession, form: SignUp, password: str, ip: str, device: str) -> Account:
    require_allowed(session, "sign_ups")
    email = form.email.strip().lower()
    email_index = cell.vault.blind_index("accounts.email", email)
    if session.scalar(select(AccountRow.account_id).where(AccountRow.handle == form.handle)):
        raise Problem(409, "handle-taken", "That handle is taken; choose another.")
    if session.scalar(select(AccountRow.account_id).where(AccountRow.email_index == email_index)):
        raise Problem(409, "email-taken", "There is an account with that e-mail; sign in instead.")
    account_id = fresh_id()
    cell.vault.new_account_key(session, account_id)

    def seal(column: str, value: str) -> bytes:
        return cell.vault.seal(session, account_id, "accounts", column, account_id, value.encode())

    session.add(
        AccountRow(
            account_id=account_id,
            handle=form.handle,
            display_name=form.display_name.strip(),
            created_at=now_ms(),
            password=seal("password", password),
            email=seal("email", email),
            email_index=email_index,
            phone=seal("phone", form.phone.strip()) if form.phone else None,
            birthday=seal("birthday", form.birthday),
            address=seal("address", form.address.strip()) if form.address else None,
            sign_in_ip=seal("sign_in_ip", ip),
            device=seal("device", device[:200]),
        )
    )
    session.flush()
    # Birthdays are not guarded: they trip on innocent text.
    guarded = [value for value in (email, form.phone, form.address, ip) if value]
    tripwires.guard(session, cell.vault, account_id, guarded)
    return Account(account_id, form.handle, form.display_name.strip())


def sign_in(cell: Cell, form: Credentials, ip: str) -> tuple[Account, str]:
    """Check a password, note the address it came from and start a session.

    Returns:
        The account and the token of the new session.

    Raises:
        Problem: 401 when handle and password do not belong together; it does not say which is wrong.
    """
    wrong = Problem(401, "wrong-credentials", "Handle and password do not belong together.")
    with cell.database.read() as reading:
        row = reading.scalar(select(AccountRow).where(AccountRow.handle == form.handle))
        # An unknown handle costs the same hashing as a known one, so that time tells nothing.
        stored = _DECOY if row is None else _unseal(cell, reading, row, "password", row.password)
    try:
        _HASHER.verify(stored, form.password)
    except (VerificationError, InvalidHashError) as error:
        raise wrong from error
    if row is None:
        raise wrong
    account = Account(row.account_id, row.handle, row.display_name)
    with cell.database.write() as session:
        sealed = cell.vault.seal(
            session, row.account_id, "accounts", "sign_in_ip", row.account_id, ip.encode()
        )
        session.execute(
            update(AccountRow).where(AccountRow.account_id == row.account_id).values(sign_in_ip=sealed)
        )
        return account, _open_session(cell, session, account)


def _open_session(cell: Cell, session: WriteSession, account: Account) -> str:
    # The token is stored nowhere in clear: the row holds its blind index.
    token = secrets.token_urlsafe(32)
    session.add(
        SessionRow(
            token_index=cell.vault.blind_index("sessions.token", token),
            account_id=account.account_id,
            expires_at=now_ms() + SESSION_SECONDS * 1000,
        )
    )
    return token


def sign_out(cell: Cell, session: WriteSession, token: str) -> None:
    """End the session of `token`; an unknown one is no error."""
    index = cell.vault.blind_index("sessions.token", token)
    session.execute(delete(SessionRow).where(SessionRow.token_index == index))


def current_account(cell: Cell, token: str) -> Account | None:
    """Return who is signed in with `token`, or None.

    Nothing is remembered between calls, so that a session ended anywhere is over everywhere at once. The
    account's wrapped key comes with the same read, and the vault has it at hand for what follows.
    """
    index = cell.vault.blind_index("sessions.token", token)
    found = queries.by_token(cell.database, index, now_ms())
    if found is None:
        return None
    account, generation, wrapped, birthday = found
    if wrapped is None:
        # The account is being erased: there is nothing left that its session could open.
        return None
    cell.vault.hold(account.account_id, generation, wrapped)
    adult = ages.is_adult(cell, account.account_id, birthday)
    return Account(account.account_id, account.handle, account.display_name, adult)


def own_details(cell: Cell, session: ReadSession, account: Account) -> dict[str, str | None]:
    """Return the protected fields of the signed-in person's own account, in clear, by name."""
    row = session.get_one(AccountRow, account.account_id)
    details: dict[str, str | None] = {}
    for column in DETAILS:
        sealed: bytes | None = getattr(row, column)
        details[column] = None if sealed is None else _unseal(cell, session, row, column, sealed)
    return details


def _unseal(cell: Cell, session: ReadSession, row: AccountRow, column: str, sealed: bytes) -> str:
    category = DETAILS.get(column, "user.authorization.password")
    permit = cell.decider.decide(
        Principal(kind="account", id=row.account_id, role="self"),
        "use_own",
        Resource(category=category, residency="protected", owner=row.account_id),
    )
    plain = cell.vault.unseal(permit, session, row.account_id, "accounts", column, row.account_id, sealed)
    return plain.decode()


def knows_password(cell: Cell, account: Account, password: str) -> bool | None:
    """Say whether this is the password of an account; None if the account is no longer here."""
    with cell.database.read() as reading:
        row = reading.get(AccountRow, account.account_id)
        if row is None:
            return None
        stored = _unseal(cell, reading, row, "password", row.password)
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def check_form(form: SignUp) -> None:
    """Refuse details that no account may have; raises `Problem` 422 with the name of the field."""

    def wrong(field: str, detail: str) -> Problem:
        return Problem(422, "unusable-field", detail, field=field)

    if not _HANDLE.fullmatch(form.handle):
        raise wrong("handle", "A handle has 2 to 24 characters: small letters, digits, dot, underscore.")
    if not 8 <= len(form.password) <= 200:
        raise wrong("password", "A password has 8 to 200 characters.")
    if not 1 <= len(form.display_name.strip()) <= 50 or not form.display_name.isprintable():
        raise wrong("display_name", "A name has 1 to 50 printable characters.")
    if len(form.email) > 254 or not _EMAIL.fullmatch(form.email.strip()):
        raise wrong("email", "That is not an e-mail address.")
    if form.phone and not _PHONE.fullmatch(form.phone.strip()):
        raise wrong("phone", "That is not a telephone number.")
    if form.address and len(form.address) > 300:
        raise wrong("address", "An address has at most 300 characters.")
    try:
        born = date.fromisoformat(form.birthday)
    except ValueError as error:
        raise wrong("birthday", "A birthday is written YYYY-MM-DD.") from error
    today = datetime.now(UTC).date()
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if not MIN_AGE_YEARS <= age <= 130:
        raise wrong("birthday", f"One must be at least {MIN_AGE_YEARS} years old to have an account.")
