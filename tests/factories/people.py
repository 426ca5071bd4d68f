"""Signs people up through the public door, each with details of their own."""

from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

PASSWORD = "correct horse battery"


def form(handle: str = "mira.folds", **changed: Any) -> dict[str, Any]:
    """Return a sign-up form that is accepted as it stands."""
    return {
        "handle": handle,
        "password": PASSWORD,
        "display_name": handle.title(),
        "email": f"{handle}@example.org",
        "phone": "+1 415 555 0132",
        "birthday": "1994-03-09",
        "address": "12 Atrium Lane, Austin",
    } | changed


def sign_up(client: TestClient[Litestar], handle: str = "mira.folds", **changed: Any) -> dict[str, str]:
    """Sign somebody up; the client is signed in as them afterwards."""
    answer = client.post("/api/accounts", json=form(handle, **changed))
    assert answer.status_code == 201, answer.text
    body: dict[str, str] = answer.json()
    return body
