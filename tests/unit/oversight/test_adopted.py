"""The monitor's agreement: an amendment is taken only if all who must have signed it."""

import hashlib
from pathlib import Path

import httpx
import msgspec

from lightwell.agreement import signing
from lightwell.agreement.load import digest
from lightwell.agreement.roster import dump_roster
from lightwell.oversight import adopted
from lightwell.oversight.store import Store
from lightwell.wire.entries import AgreementAdopted, encode
from tests.unit.agreement.test_signing_check import CHANGED, FIRST, SEATS, TEXT, amendment, founding


def seen(store: Store, entries: list[AgreementAdopted]) -> dict[int, signing.Settled]:
    """Have a monitor see these entries and ask a cell that serves both texts; return what it holds."""
    texts = {digest(FIRST.agreement): TEXT, entries[-1].digest: CHANGED}

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.path.removeprefix("/api/agreement").strip("/") or entries[-1].digest
        body = {"agreement": texts[asked] if len(entries) > 1 else TEXT, "roster": dump_roster(SEATS)}
        return httpx.Response(200, content=msgspec.json.encode(body))

    with store.write() as db:
        for index, entry in enumerate(entries):
            data = encode(entry)
            db.execute(
                "INSERT INTO entries (cell, idx, kind, leaf, data) VALUES (?, ?, ?, ?, ?)",
                ("us", index, "AgreementAdopted", hashlib.sha256(b"\0" + data).digest(), data),
            )
    client = httpx.Client(transport=httpx.MockTransport(answer))
    adopted.refresh(store, "us", "http://us.test", client)
    return adopted.held(store, "us")


def test_an_amendment_signed_by_all_is_what_the_monitor_judges_by(tmp_path: Path) -> None:
    store = Store(tmp_path / "oversight.db")
    held = seen(store, [founding(), amendment()])
    assert {index: settled.agreement.version for index, settled in held.items()} == {0: 1, 1: 2}
    now = adopted.adopted(store, "us")
    assert now is not None
    assert now.agreement.version == 2


def test_an_amendment_that_one_did_not_sign_is_a_finding_and_not_the_agreement(tmp_path: Path) -> None:
    store = Store(tmp_path / "oversight.db")
    held = seen(store, [founding(), amendment("operator", "parent", "partner")])
    assert list(held) == [0]
    finding = store.row("SELECT * FROM findings WHERE cell = 'us' AND area = 'agreement'")
    assert finding is not None
    assert "without the signature of The public authority" in finding["detail"]
