"""HTTP of people's rights: have all of one's own data, correct it, delete the account."""

from typing import Annotated, Any

from litestar import Response, delete, get, patch
from litestar.handlers import BaseRouteHandler
from litestar.response import Stream
from msgspec import Meta, Struct, to_builtins

from lightwell.base.threads import in_thread
from lightwell.product.accounts import Account
from lightwell.product.accounts.web import COOKIE
from lightwell.product.rights.correction import Correction, correct
from lightwell.product.rights.deletion import delete_account
from lightwell.product.rights.export import export
from lightwell.product.rights.looks import looks_at
from lightwell.residency.cell import Cell


class Farewell(Struct, forbid_unknown_fields=True):
    """The account's password, typed again."""

    password: Annotated[str, Meta(max_length=200)]


@get("/api/me/export")
@in_thread
def export_own_data(cell: Cell, account: Account) -> Stream:
    """Return all that the cell holds of the signed-in person as one JSON document; see `export.export`."""
    name = f"lightwell-{account.handle}.json"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Stream(export(cell, account), media_type="application/json", headers=headers)


@get("/api/me/looks")
@in_thread
def list_looks(cell: Cell, account: Account) -> dict[str, Any]:
    """List each time that staff asked to see the signed-in person's fields; see `looks.looks_at`."""
    with cell.database.read() as session:
        return {"looks": looks_at(session, account.account_id)}


@patch("/api/me")
@in_thread
def correct_own_data(data: Correction, cell: Cell, account: Account) -> dict[str, str | None]:
    """Replace details of the signed-in person's own account."""
    return correct(cell, account, data)


@delete("/api/me", status_code=200)
@in_thread
def delete_own_account(data: Farewell, cell: Cell, account: Account) -> Response[dict[str, Any]]:
    """Delete the signed-in person's account; the answer is the only copy of what opens the entry of it."""
    told = delete_account(cell, account, data.password)
    response: Response[dict[str, Any]] = Response(to_builtins(told), status_code=200)
    response.delete_cookie(COOKIE)
    return response


routes: list[BaseRouteHandler] = [export_own_data, list_looks, correct_own_data, delete_own_account]
