"""A writer that lies about its ledger is caught: each test says by whom, and when."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwell.wire import merkle, tiles, trust
from lightwell.wire.note import join_note, split_note
from lightwell.wire.receipt import Receipt, ReceiptError
from lightwell.wire.tlog_proof import TlogProof
from lightwell.wire.trust import TrustError
from tests.scenarios.attacker import Attacker, Oversight, Viewer, video, wait_for, watched

FORKED = "The ledger was forked"
REWRITTEN = "The ledger was rewritten"
TRUNCATED = "The ledger was truncated"
TWO_TREES = "The ledger signed two different trees of one size"
SPLIT = "The ledger shows two readers different trees"
UNSHOWN = "The cell has not shown us entries that it signed for"
BACK_DATED = "Entries are dated earlier than those before them"
FROM_THE_FUTURE = "Entries are dated later than they were read"
BROKEN = "A promise was broken"
NO_QUORUM = "A checkpoint was published without its quorum of witnesses"


@pytest.fixture
def attacker() -> Attacker:
    return Attacker()


@pytest.fixture
def oversight(attacker: Attacker, tmp_path: Path) -> Iterator[Oversight]:
    """The ledger has ten entries that were cosigned and followed before the attack begins."""
    with watched(tmp_path, attacker, view_grace_seconds=0.5) as oversight:
        attacker.grow(10 - attacker.checkpoint.size)
        assert oversight.witness(attacker, 0).status_code == 200
        oversight.follow(10)
        yield oversight


@pytest.fixture
def viewer(attacker: Attacker, oversight: Oversight) -> Viewer:
    """Somebody who took the receipt of entry 9 before the attack begins."""
    viewer = Viewer(oversight.policy)
    assert set(viewer.keep(attacker.receipt(9)).cosigned_by()) == {"oversight-witness"}
    viewer.recheck(attacker.read)
    return viewer


def titles(oversight: Oversight) -> set[str]:
    return {found["title"] for found in oversight.findings()}


def fork(attacker: Attacker, size: int) -> Attacker:
    """Another tree of the same writer that shares the first nine entries, signed at `size`."""
    other = attacker.twin(9)
    other.append([video(1000 + number) for number in range(size - 9)])
    return other


def test_without_an_attack_nothing_is_found(attacker: Attacker, oversight: Oversight, viewer: Viewer) -> None:
    attacker.grow(300)
    assert oversight.witness(attacker, 10).status_code == 200
    oversight.follow(310)
    oversight.polls()
    assert oversight.findings() == []
    viewer.recheck(attacker.read)
    witness = oversight.ledger()["witnesses"]
    assert [(one["name"], one["algorithms"], one["current"]) for one in witness] == [
        ("oversight-witness", ["Ed25519", "ML-DSA-44"], True)
    ]


def test_a_cell_that_was_away_while_its_writer_went_on_is_accused_of_nothing(
    attacker: Attacker, oversight: Oversight
) -> None:
    attacker.away = True
    writer = attacker.twin(10)
    for old, size in ((10, 11), (11, 12), (12, 301)):
        writer.grow(size - old, at=int(time.time()) - 240)
        assert oversight.witness(writer, old).status_code == 200
    # Longer than the grace: in this time nothing was shown, so nothing was withheld.
    time.sleep(1)
    attacker.away = False
    oversight.polls()
    attacker.show(writer)
    oversight.follow(301)
    oversight.polls()
    assert oversight.findings() == []


# --- a: forks


def test_a_fork_is_refused_by_the_witness_at_once_and_found(attacker: Attacker, oversight: Oversight) -> None:
    other = fork(attacker, 10)
    assert oversight.witness(other, 10).status_code == 422
    assert TWO_TREES in titles(oversight)
    # And, since both trees came to the server by different ways, at the follower's next poll.
    oversight.finding(SPLIT)
    (shown,) = oversight.ledger()["contradictions"]
    assert shown["note"] == other.files["checkpoint"].decode()


def test_a_fork_is_found_by_the_follower_at_its_next_poll(attacker: Attacker, oversight: Oversight) -> None:
    attacker.show(fork(attacker, 10))
    oversight.finding(REWRITTEN)
    assert oversight.ledger()["consistent"] is False


def test_a_fork_without_a_changed_entry_is_found_by_the_follower(
    attacker: Attacker, oversight: Oversight
) -> None:
    attacker.files["checkpoint"] = fork(attacker, 10).files["checkpoint"]
    oversight.finding(FORKED)


def test_a_fork_fails_the_viewers_next_recheck(
    attacker: Attacker, oversight: Oversight, viewer: Viewer
) -> None:
    other = fork(attacker, 10)
    viewer.policy = trust.of_keys(attacker.key.verifier())
    with pytest.raises(merkle.ProofError):
        viewer.recheck(other.read)


# --- b: truncates


def test_truncation_is_refused_by_the_witness_at_once(attacker: Attacker, oversight: Oversight) -> None:
    shorter = attacker.twin(7)
    assert oversight.witness(shorter, 0).text == "10\n"
    body = f"old 10\n\n{shorter.files['checkpoint'].decode()}"
    assert oversight.http.post("/witness/us/add-checkpoint", content=body).status_code == 400
    # The tree of seven entries was the ledger's once: nothing is wrong with it but that it is shown now.
    oversight.polls()
    assert titles(oversight) == set()


def test_truncation_is_found_by_the_follower_at_its_next_poll(
    attacker: Attacker, oversight: Oversight
) -> None:
    attacker.show(attacker.twin(7))
    assert oversight.finding(TRUNCATED)["state"] == "breach"
    assert oversight.ledger()["size"] == 10


def test_truncation_fails_the_viewers_next_recheck(
    attacker: Attacker, oversight: Oversight, viewer: Viewer
) -> None:
    shorter = attacker.twin(7)
    with pytest.raises(TrustError):
        viewer.recheck(shorter.read)
    viewer.policy = trust.of_keys(attacker.key.verifier())
    with pytest.raises(merkle.ProofError, match="had 10 entries and has 7 now"):
        viewer.recheck(shorter.read)


# --- c: rewrites


def rewritten(attacker: Attacker) -> Attacker:
    """The ledger with its fifth entry replaced, grown by three."""
    other = attacker.twin(5)
    other.append([video(999), *attacker.entries[6:]])
    other.grow(3)
    return other


def test_a_rewrite_is_refused_by_the_witness_at_once(attacker: Attacker, oversight: Oversight) -> None:
    other = rewritten(attacker)
    assert oversight.witness(other, 10).status_code == 422
    attacker.grow(3)
    # What the witness refused is remembered, and compared once the follower has as many entries.
    oversight.finding(SPLIT)


def test_a_rewrite_is_found_by_the_follower_at_its_next_poll_with_the_entry(
    attacker: Attacker, oversight: Oversight
) -> None:
    attacker.show(rewritten(attacker))
    assert oversight.finding(REWRITTEN)["entries"] == [5]


def test_a_rewrite_fails_the_viewers_next_recheck(attacker: Attacker, viewer: Viewer) -> None:
    viewer.policy = trust.of_keys(attacker.key.verifier())
    with pytest.raises(merkle.ProofError):
        viewer.recheck(rewritten(attacker).read)


# --- d: two views


def test_two_views_of_one_size_are_found_at_the_next_poll(attacker: Attacker, oversight: Oversight) -> None:
    view = fork(attacker, 12)
    shared = attacker.twin(10)
    shared.append([video(2000), video(2001)])
    assert oversight.witness(shared, 10).status_code == 200
    assert view.checkpoint.size == shared.checkpoint.size == 12
    # The follower is given two other entries, signed as well.
    attacker.grow(2)
    oversight.follow(12)
    oversight.finding(SPLIT)
    (shown,) = oversight.ledger()["contradictions"]
    assert (shown["size"], shown["root"]) == (12, shared.checkpoint.root.hex())


def test_a_smaller_view_that_differs_is_found_at_the_next_poll(
    attacker: Attacker, oversight: Oversight
) -> None:
    for_witness = attacker.twin(10)
    for_witness.append([video(2000)])
    attacker.grow(300)
    oversight.follow(310)
    assert oversight.witness(for_witness, 10).status_code == 200
    oversight.finding(SPLIT)


def test_entries_shown_to_the_witness_only_are_found_after_the_grace(
    attacker: Attacker, oversight: Oversight
) -> None:
    for_witness = attacker.twin(10)
    for_witness.grow(5)
    assert oversight.witness(for_witness, 10).status_code == 200
    began = time.monotonic()
    finding = oversight.finding(UNSHOWN)
    assert time.monotonic() - began >= 0.5
    assert finding["state"] == "open"
    assert oversight.ledger()["consistent"] is False
    # Shown at last, it was only late.
    attacker.show(for_witness)
    oversight.follow(15)
    wait_for(lambda: oversight.finding(UNSHOWN)["state"] == "closed")
    assert titles(oversight) == {UNSHOWN}


def test_a_viewer_of_another_view_than_the_witnesses_is_not_taken_in(
    attacker: Attacker, oversight: Oversight, viewer: Viewer
) -> None:
    view = fork(attacker, 12)
    with pytest.raises(ReceiptError, match="quorum"):
        viewer.keep(view.receipt(11))


def test_a_viewer_with_a_receipt_from_one_view_sees_the_other_at_the_next_recheck(
    attacker: Attacker, oversight: Oversight, viewer: Viewer
) -> None:
    for_viewer = attacker.twin(10)
    for_viewer.append([video(10), video(11)])
    assert oversight.witness(for_viewer, 10).status_code == 200
    viewer.keep(for_viewer.receipt(11))
    attacker.grow(5)
    with pytest.raises(TrustError):
        viewer.recheck(attacker.read)
    viewer.policy = trust.of_keys(attacker.key.verifier())
    attacker.entries[10] = video(5555)
    with pytest.raises(merkle.ProofError):
        viewer.recheck(attacker.twin(13).read)


# --- e: back-dates


def test_a_back_dated_entry_is_named_by_the_follower_at_its_next_poll(
    attacker: Attacker, oversight: Oversight
) -> None:
    attacker.grow(1, at=int(time.time()) - 3600)
    finding = oversight.finding(BACK_DATED)
    assert finding["entries"][0] == 10
    assert finding["state"] == "breach"
    attacker.grow(2)
    attacker.grow(1, at=int(time.time()) - 86400)
    wait_for(lambda: 13 in oversight.finding(BACK_DATED)["entries"])
    assert not {11, 12} & set(oversight.finding(BACK_DATED)["entries"])


def test_a_back_dated_entry_among_others_is_named_even_to_one_who_reads_all_at_once(tmp_path: Path) -> None:
    attacker = Attacker()
    with watched(tmp_path, attacker) as oversight:
        attacker.append([video(3), video(4, at=int(time.time()) - 7200), video(5)])
        assert oversight.finding(BACK_DATED)["entries"][0] == 4


def test_an_entry_from_the_future_is_named_and_taints_no_other(
    attacker: Attacker, oversight: Oversight
) -> None:
    attacker.grow(1, at=int(time.time()) + 3600)
    assert oversight.finding(FROM_THE_FUTURE)["entries"] == [10]
    attacker.grow(3)
    oversight.follow(14)
    oversight.polls()
    assert titles(oversight) == {FROM_THE_FUTURE}


# --- f: breaks a promise


def submit(oversight: Oversight, note: str, entry: bytes) -> dict[str, object]:
    answer = oversight.http.post(
        "/api/promises",
        json={"promise": note, "entry": entry.decode()},
        headers={"origin": "http://us.test", "content-type": "text/plain"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    body: dict[str, object] = answer.json()
    return body


def test_a_broken_promise_is_found_when_its_holder_brings_it(
    attacker: Attacker, oversight: Oversight
) -> None:
    entry = video(77)
    note = attacker.promise(entry, time.time() - 3600)
    assert submit(oversight, note, entry)["state"] == "broken"
    finding = oversight.finding(BROKEN)
    assert merkle.leaf_hash(entry).hex() in finding["detail"]
    assert submit(oversight, note, entry)["state"] == "broken"
    assert [f for f in oversight.findings() if f["title"] == BROKEN] == [finding]


def test_a_kept_promise_is_answered_with_a_proof_of_where_the_entry_is(
    attacker: Attacker, oversight: Oversight
) -> None:
    entry = video(77)
    note = attacker.promise(entry, time.time() - 3600)
    attacker.append([entry])
    oversight.follow(11)
    standing = submit(oversight, note, entry)
    assert (standing["state"], standing["index"], standing["size"]) == ("kept", 10, 11)
    root = bytes.fromhex(str(standing["root"]))
    proof = tiles.inclusion_proof(attacker.read_tile, 10, 11)
    merkle.verify_inclusion(merkle.leaf_hash(entry), 10, 11, proof, root)
    assert oversight.findings() == []


@pytest.mark.parametrize("by", [-200, 3600])
def test_a_promise_whose_time_has_not_safely_passed_waits(
    attacker: Attacker, oversight: Oversight, by: int
) -> None:
    entry = video(77)
    assert submit(oversight, attacker.promise(entry, time.time() + by), entry)["state"] == "waiting"
    assert oversight.findings() == []


# --- g: publishes without its quorum


def test_a_checkpoint_without_its_quorum_is_refused_by_the_viewer_at_once(
    attacker: Attacker, oversight: Oversight, viewer: Viewer
) -> None:
    attacker.grow(2)
    with pytest.raises(ReceiptError, match="quorum every is not met"):
        viewer.keep(attacker.receipt(11))
    oversight.follow(12)
    assert [one["current"] for one in oversight.ledger()["witnesses"]] == [False]


def test_a_checkpoint_without_its_quorum_is_found_by_a_follower_with_the_policy(tmp_path: Path) -> None:
    attacker = Attacker()
    with watched(tmp_path, attacker, quorum=True) as oversight:
        # The three entries of the founding were published without a witness.
        oversight.finding(NO_QUORUM)


def test_a_follower_with_the_policy_finds_nothing_when_each_checkpoint_has_its_quorum(tmp_path: Path) -> None:
    attacker = Attacker()
    with watched(tmp_path, attacker, cosigned=True, quorum=True) as oversight:
        oversight.follow(3)
        for size in (5, 260):
            honest = attacker.twin(3)
            honest.append([video(number) for number in range(3, size)])
            assert oversight.witness(honest, oversight.ledger()["size"]).status_code == 200
            attacker.show(honest)
            oversight.follow(size)
        oversight.polls()
        assert oversight.findings() == []


# --- h: reuses a proof


def test_a_proof_of_another_entry_is_refused_by_the_viewer_at_once(
    attacker: Attacker, oversight: Oversight, viewer: Viewer
) -> None:
    good = attacker.receipt(8)
    viewer.keep(good)
    other = attacker.receipt(9)
    for proof in (
        good.proof,
        TlogProof(9, good.proof.hashes, good.proof.checkpoint),
        TlogProof(8, other.proof.hashes, good.proof.checkpoint),
    ):
        with pytest.raises(ReceiptError, match="another root"):
            viewer.keep(Receipt(proof, other.entry, other.opening))
    with pytest.raises(ReceiptError, match="does not open"):
        viewer.keep(Receipt(other.proof, other.entry, good.opening))


def test_cosignatures_of_another_checkpoint_are_refused_by_the_viewer_at_once(
    attacker: Attacker, oversight: Oversight, viewer: Viewer
) -> None:
    _, signatures = split_note(attacker.files["checkpoint"].decode())
    attacker.grow(1)
    text, own = split_note(attacker.files["checkpoint"].decode())
    attacker.files["checkpoint"] = join_note(text, [*own, *signatures[1:]]).encode()
    with pytest.raises(ReceiptError, match="bad signature of oversight-witness"):
        viewer.keep(attacker.receipt(10))
