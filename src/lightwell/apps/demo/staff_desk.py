"""A member of staff at a cell: signs in with a key over HTTP, as the staff page does."""

from typing import Self

import httpx

from lightwell.apps.demo.person import expect
from lightwell.wire.keys import SigningKey


class StaffDesk:
    """A signed-in member of staff.

    Args:
        url: the cell's address.
        key: the member's private key.

    Raises:
        Unexpected: the cell did not let this key in.
    """

    def __init__(self, url: str, key: SigningKey) -> None:
        self.http = httpx.Client(base_url=url, timeout=10.0, trust_env=False)
        vkey = key.verifier().vkey()
        challenge = str(expect(self.http.post("/api/staff/challenge", json={"vkey": vkey}), 200)["challenge"])
        signature = key.sign(f"lightwell/sign-in/v1\n{challenge}".encode()).hex()
        body = {"vkey": vkey, "challenge": challenge, "signature": signature}
        expect(self.http.post("/api/staff/session", json=body), 200)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
