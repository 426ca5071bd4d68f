import secrets
from pathlib import Path
from typing import Any

import pytest

from lightwell.agreement.load import parse
from lightwell.agreement.orders import (
    HEADER,
    Order,
    OrderError,
    check_delivery,
    check_new,
    in_force,
    make_order,
    open_order,
    signed_digest,
)
from lightwell.agreement.roster import Seat
from lightwell.wire import canonical
from lightwell.wire.keys import SigningKey
from lightwell.wire.note import sign_note

AGREEMENT = parse((Path(__file__).parents[3] / "agreements" / "us-2022-draft.toml").read_text("utf-8"))
NAMES = ("authority", "board", "court", "partner")
KEYS = {name: SigningKey.generate(name, secrets.token_bytes(32)) for name in (*NAMES, "stranger")}
ROSTER = [Seat(name, name, KEYS[name].verifier().vkey()) for name in NAMES]  # type: ignore[arg-type]
NOW = 1_800_000_000
FIELDS: dict[str, Any] = {
    "order": "0" * 15 + "1",
    "verb": "suspend",
    "scope": "uploads",
    "cell": "us",
    "sequence": 1,
    "issued_at": NOW,
    "expires_at": None,
    "lifts": None,
    "reason": "a test of the stop",
}


def written(signer: str = "authority", **changed: Any) -> str:
    return make_order(KEYS[signer], **(FIELDS | changed))


def opened(signer: str = "authority", **changed: Any) -> Order:
    return open_order(written(signer, **changed), ROSTER, AGREEMENT)


def reason_of(text: str) -> str:
    with pytest.raises(OrderError) as caught:
        open_order(text, ROSTER, AGREEMENT)
    return caught.value.reason


def history(*steps: dict[str, Any]) -> list[Order]:
    """Open orders with growing ids and sequences, each accepted as new."""
    taken: list[Order] = []
    for number, step in enumerate(steps, 1):
        changed = {"order": f"{number:016x}", "sequence": number} | step
        order = opened(changed.pop("signer", "authority"), **changed)
        check_new(order, taken)
        taken.append(order)
    return taken


def binding(taken: list[Order], now: int = NOW) -> list[str]:
    return [order.order[-1] for order in in_force(taken, now)]


def test_order_of_the_authority_opens() -> None:
    order = opened()
    assert (order.verb, order.scope, order.signer, order.role) == (
        "suspend",
        "uploads",
        "authority",
        "authority",
    )
    assert order.digest == signed_digest(written())


def test_order_of_an_unknown_key_is_refused() -> None:
    assert reason_of(written("stranger")) == "unknown-signer"


def test_order_forged_under_the_authoritys_name_is_refused() -> None:
    forger = SigningKey.generate("authority", secrets.token_bytes(32))
    assert reason_of(make_order(forger, **FIELDS)) == "bad-signature"


def test_order_altered_after_signing_is_refused() -> None:
    assert reason_of(written().replace('"uploads"', '"sign_ups"')) == "bad-signature"


@pytest.mark.parametrize(
    ("signer", "verb"), [("board", "suspend"), ("court", "suspend"), ("authority", "stay")]
)
def test_order_beyond_its_signers_powers_is_refused(signer: str, verb: str) -> None:
    assert reason_of(written(signer, verb=verb)) == "not-empowered"


def test_partner_gives_no_orders() -> None:
    assert reason_of(written("partner")) == "unknown-signer"


@pytest.mark.parametrize("scope", ["feed", "upload"])
def test_order_on_a_scope_outside_the_agreement_is_refused(scope: str) -> None:
    assert reason_of(written(scope=scope)) == "not-empowered"


def signed_body(body: object) -> str:
    return sign_note(HEADER + canonical.encode(body).decode() + "\n", KEYS["authority"])


@pytest.mark.parametrize(
    "changed",
    [
        {"order": "1"},
        {"order": 1},
        {"verb": "burn"},
        {"scope": "UPLOADS"},
        {"sequence": -1},
        {"sequence": True},
        {"issued_at": "now"},
        {"expires_at": NOW},
        {"lifts": "0" * 16},
        {"reason": "two\nlines"},
        {"reason": "x" * 501},
        {"extra": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_signed_nonsense_is_malformed(changed: dict[str, Any]) -> None:
    assert reason_of(signed_body(FIELDS | changed)) == "malformed"


@pytest.mark.parametrize("text", ["", "x", HEADER, HEADER + "{}\n\n", "\ud800", "a\n\nb\n", HEADER * 5000])
def test_text_that_is_no_order_is_malformed(text: str) -> None:
    assert reason_of(text) == "malformed"


def test_body_that_is_not_canonical_is_malformed() -> None:
    body = canonical.encode(FIELDS).decode().replace(",", ", ", 1)
    assert reason_of(sign_note(HEADER + body + "\n", KEYS["authority"])) == "malformed"


def test_order_cannot_be_made_malformed() -> None:
    with pytest.raises(OrderError):
        written(scope="two words")


@pytest.mark.parametrize(
    ("changed", "now", "reason"),
    [
        ({"cell": "sg"}, NOW, "wrong-cell"),
        ({"expires_at": NOW + 5}, NOW + 5, "expired"),
        ({}, NOW + 90_000, "back-dated"),
        ({}, NOW - 1_000, "back-dated"),
    ],
)
def test_order_for_elsewhere_or_another_time_is_refused(
    changed: dict[str, Any], now: int, reason: str
) -> None:
    with pytest.raises(OrderError) as caught:
        check_delivery(opened(**changed), "us", now)
    assert caught.value.reason == reason


def test_order_in_time_for_this_cell_is_delivered() -> None:
    check_delivery(opened(expires_at=NOW + 60), "us", NOW + 30)


@pytest.mark.parametrize("changed", [{}, {"order": "f" * 16}, {"order": "f" * 16, "sequence": 0}])
def test_order_taken_before_or_back_in_sequence_is_replayed(changed: dict[str, Any]) -> None:
    with pytest.raises(OrderError) as caught:
        check_new(opened(**changed), [opened()])
    assert caught.value.reason == "replayed"


def test_second_signature_line_does_not_make_a_new_order() -> None:
    twice = written() + KEYS["court"].sign_text(written().partition("\n\n")[0] + "\n").line()
    order = open_order(twice, ROSTER, AGREEMENT)
    assert order.digest == opened().digest
    with pytest.raises(OrderError, match="taken before"):
        check_new(order, [opened()])


def test_suspension_binds_until_it_is_lifted() -> None:
    taken = history({})
    assert binding(taken) == ["1"]
    assert binding(history({}, {"verb": "lift", "lifts": f"{1:016x}"})) == []
    assert binding(history({}, {"verb": "lift"})) == []


def test_suspension_ends_when_it_expires() -> None:
    taken = history({"expires_at": NOW + 100})
    assert binding(taken, NOW + 99) == ["1"]
    assert binding(taken, NOW + 100) == []


def test_extension_moves_the_end() -> None:
    taken = history(
        {"expires_at": NOW + 100}, {"verb": "extend", "lifts": f"{1:016x}", "expires_at": NOW + 200}
    )
    assert binding(taken, NOW + 150) == ["1"]
    assert binding(taken, NOW + 200) == []


def test_lift_of_one_scope_leaves_the_other() -> None:
    assert binding(history({}, {"scope": "sign_ups"}, {"verb": "lift"})) == ["2"]


def test_lift_of_nothing_is_refused() -> None:
    with pytest.raises(OrderError) as caught:
        history({"verb": "lift"})
    assert caught.value.reason == "no-such-order"


def test_suspension_after_a_lift_binds() -> None:
    assert binding(history({}, {"verb": "lift"}, {})) == ["3"]


def test_stay_of_a_court_outranks_the_order_it_stays() -> None:
    assert binding(history({}, {"verb": "stay", "signer": "court"})) == []


def test_authority_cannot_lift_a_courts_stay() -> None:
    with pytest.raises(OrderError) as caught:
        history({}, {"verb": "stay", "signer": "court"}, {"verb": "lift", "lifts": f"{2:016x}"})
    assert caught.value.reason == "outranked"


def test_stayed_order_binds_again_when_the_stay_ends() -> None:
    taken = history({}, {"verb": "stay", "signer": "court", "expires_at": NOW + 50})
    assert (binding(taken, NOW + 49), binding(taken, NOW + 50)) == ([], ["1"])
    lifted = history(
        {},
        {"verb": "stay", "signer": "court"},
        {"verb": "lift", "lifts": f"{2:016x}", "signer": "court"},
    )
    assert binding(lifted) == ["1"]


def test_stay_of_a_whole_scope_covers_later_orders_too() -> None:
    assert binding(history({}, {"verb": "stay", "signer": "court"}, {})) == []


def test_stay_of_one_order_does_not_cover_the_next() -> None:
    assert binding(history({}, {"verb": "stay", "signer": "court", "lifts": f"{1:016x}"}, {})) == ["3"]
