"""HTTP of accounts: create one, sign in and out, read one's own data."""

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from lightwell.base.threads import in_thread
from lightwell.product.accounts import service
from lightwell.product.accounts.queries import Account
from lightwell.product.accounts.service import Credentials, SignUp
from lightwell.residency.cell import Cell

COOKIE = "lightwell_session"


def _signed_in(account: Account, token: str, status: int) -> Response[dict[str, str]]:
    cookie = Cookie(
        key=COOKIE, value=token, path="/", httponly=True, samesite="lax", max_age=service.SESSION_SECONDS
    )
    body = {"account_id": account.account_id, "handle": account.handle}
    return Response(body, status_code=status, cookies=[cookie])


def _client_ip(request: Request[Any, Any, Any]) -> str:
    return request.client.host if request.client else ""


@post("/api/accounts")
@in_thread
def create_account(data: SignUp, request: Request[Any, Any, Any], cell: Cell) -> Response[dict[str, str]]:
    """Create an account and sign it in."""
    device = request.headers.get("user-agent", "")
    account, token = service.sign_up(cell, data, _client_ip(request), device)
    return _signed_in(account, token, 201)


@post("/api/session")
@in_thread
def create_session(
    data: Credentials, request: Request[Any, Any, Any], cell: Cell
) -> Response[dict[str, str]]:
    """Sign in with handle and password."""
    account, token = service.sign_in(cell, data, _client_ip(request))
    return _signed_in(account, token, 200)


@delete("/api/session", status_code=204)
@in_thread
def end_session(request: Request[Any, Any, Any], cell: Cell) -> Response[None]:
    """Sign out."""
    token = request.cookies.get(COOKIE)
    if token:
        with cell.database.write() as session:
            service.sign_out(cell, session, token)
    response: Response[None] = Response(None, status_code=204)
    response.delete_cookie(COOKIE)
    return response


@get("/api/me")
@in_thread
def read_own_account(cell: Cell, account: Account) -> dict[str, str | None]:
    """Return the signed-in person's own data, unsealed for nobody else."""
    with cell.database.read() as session:
        details = service.own_details(cell, session, account)
    return {
        "account_id": account.account_id,
        "handle": account.handle,
        "display_name": account.display_name,
        "home_cell": cell.settings.cell,
        **details,
    }


routes: list[BaseRouteHandler] = [create_account, create_session, end_session, read_own_account]
