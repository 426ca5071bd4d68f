"""People correct what is kept about them; each new value is sealed, looked for and checked like the first."""

from __future__ import annotations

import msgspec
from sqlalchemy import select, update

from lightwell.base.errors import Problem
from lightwell.product.accounts import Account, AccountRow, own_details
from lightwell.product.accounts.service import SignUp, check_form
from lightwell.product.rights.passwords import require_password
from lightwell.product.videos import VideoRow
from lightwell.residency import tripwires
from lightwell.residency.cell import Cell


class Correction(msgspec.Struct, forbid_unknown_fields=True):
    """The password, and what shall stand instead; what is left out stays. An empty phone or address goes."""

    password: str
    display_name: str | None = None
    email: str | None = None
    birthday: str | None = None
    phone: str | None = None
    address: str | None = None


def correct(cell: Cell, account: Account, form: Correction) -> dict[str, str | None]:
    """Replace details of one's own account; return all of them as they are kept now.

    Args:
        cell: the home cell.
        account: the signed-in person.
        form: what shall change; nothing at all is no error.

    Raises:
        Problem: 403 wrong password; 409 the e-mail is another account's; 422 a field is not usable.
    """
    require_password(cell, account, form.password)
    with cell.database.write() as session:
        row = session.scalar(
            select(AccountRow).where(AccountRow.account_id == account.account_id).with_for_update()
        )
        if row is None:
            raise Problem(401, "not-signed-in", "This account is no longer here.")
        now = own_details(cell, session, account)
        wanted = _wanted(row, now, form)
        email_index = cell.vault.blind_index("accounts.email", wanted.email)
        taken = session.scalar(select(AccountRow.account_id).where(AccountRow.email_index == email_index))
        if taken not in (None, account.account_id):
            raise Problem(409, "email-taken", "There is an account with that e-mail.")
        kept = {name: getattr(wanted, name) or None for name in ("email", "phone", "birthday", "address")}
        values = {
            name: None
            if value is None
            else cell.vault.seal(
                session, account.account_id, "accounts", name, account.account_id, value.encode()
            )
            for name, value in kept.items()
        }
        name = wanted.display_name
        session.execute(
            update(AccountRow)
            .where(AccountRow.account_id == account.account_id)
            .values(**values, email_index=email_index, display_name=name)
        )
        session.execute(
            update(VideoRow).where(VideoRow.account_id == account.account_id).values(creator_name=name)
        )
        tripwires.forget(session, account.account_id)
        guarded = [kept["email"], kept["phone"], kept["address"], now["sign_in_ip"]]
        tripwires.guard(session, cell.vault, account.account_id, [value for value in guarded if value])
    return {"handle": account.handle, "display_name": name, **now, **kept}


def _wanted(row: AccountRow, now: dict[str, str | None], form: Correction) -> SignUp:
    """Return the details as they shall be, checked by the rules of signing up."""

    def either(name: str) -> str:
        given: str | None = getattr(form, name)
        return (now[name] or "") if given is None else given.strip()

    wanted = SignUp(
        handle=row.handle,
        password=form.password,
        display_name=row.display_name if form.display_name is None else form.display_name.strip(),
        email=either("email").lower(),
        birthday=either("birthday"),
        phone=either("phone") or None,
        address=either("address") or None,
    )
    check_form(wanted)
    return wanted
