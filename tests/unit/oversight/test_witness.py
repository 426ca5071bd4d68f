"""The witness cosigns only what extends its last cosignature, answers as C2SP says, and remembers."""

import base64
import hashlib
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lightwell.oversight.store import Store
from lightwell.oversight.witness import Answer, Witness
from lightwell.wire import merkle, tiles
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint, sign
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, Signature, SigningKey
from lightwell.wire.note import join_note, sign_note, split_note
from lightwell.wire.witnessing import PROOF_LINES_LIMIT, encode_request
from tests.factories.seen_cell import SeenCell, key
from tests.unit.oversight.test_follow import facts

KEYS = (key("oversight-witness", COSIGNATURE), key("oversight-witness", MLDSA_COSIGNATURE))
VERIFIERS = [one.verifier() for one in KEYS]
ORIGIN_HASH = hashlib.sha256(b"lightwell/us").hexdigest()
SIZE = "text/x.tlog.size"


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.append(facts(5))
    return cell


@pytest.fixture
def witness(cell: SeenCell, tmp_path: Path) -> Witness:
    return open_witness(cell, tmp_path)


def open_witness(cell: SeenCell, folder: Path) -> Witness:
    return Witness(Store(folder / "oversight.db"), KEYS, {"us": ("lightwell/us", cell.key.verifier())})


def request(cell: SeenCell, old: int, note: str | None = None) -> bytes:
    size = cell.checkpoint.size
    proof = tiles.consistency_proof(cell.read_tile, old, size) if 0 < old < size else []
    return encode_request(old, proof, note or cell.files["checkpoint"].decode())


def ask(witness: Witness, cell: SeenCell, old: int, note: str | None = None) -> Answer:
    return witness.add_checkpoint("us", request(cell, old, note))


def claim(cell: SeenCell, size: int, root: bytes, signer: SigningKey | None = None) -> str:
    """Sign a text that `checkpoint.sign` may refuse to write."""
    text = f"lightwell/us\n{size}\n{base64.b64encode(root).decode()}\n"
    return sign_note(text, signer or cell.key)


# --- 200


def test_each_key_of_the_witness_cosigns(witness: Witness, cell: SeenCell) -> None:
    answer = ask(witness, cell, 0)
    assert answer.status == 200
    assert answer.body.count("\n") == 2
    note = cell.files["checkpoint"].decode() + answer.body
    opened = open_checkpoint(note, cell.key.verifier(), VERIFIERS)
    assert {s.verifier for s in opened.note.signatures} == {cell.key.verifier(), *VERIFIERS}
    assert all(s.timestamp for s in opened.note.signatures if s.verifier != cell.key.verifier())


def test_growth_with_a_proof_is_cosigned_and_survives_a_restart(
    witness: Witness, cell: SeenCell, tmp_path: Path
) -> None:
    assert ask(witness, cell, 0).status == 200
    cell.append(facts(300))
    assert ask(witness, cell, 5).status == 200
    again = open_witness(cell, tmp_path)
    answer = ask(again, cell, 5)
    assert (answer.status, answer.body, answer.content_type) == (409, "305\n", SIZE)
    assert ask(again, cell, 305).status == 200


def test_the_empty_tree_and_then_any_other_is_cosigned_without_a_proof(tmp_path: Path) -> None:
    cell = SeenCell()
    witness = open_witness(cell, tmp_path)
    assert ask(witness, cell, 0, sign(cell.checkpoint, cell.key)).status == 200
    cell.append(facts(3))
    assert ask(witness, cell, 0).status == 200


def test_signatures_of_unknown_keys_are_ignored_and_not_kept(witness: Witness, cell: SeenCell) -> None:
    text, own = split_note(cell.files["checkpoint"].decode())
    # As a stranger's, with our ledger's own name but another key id.
    stranger = key("lightwell/us").sign_text(text)
    assert ask(witness, cell, 0, join_note(text, [stranger, *own])).status == 200
    kept = witness.latest("us", ORIGIN_HASH).body
    assert stranger.line() not in kept
    assert own[0].line() in kept


# --- 400, 403, 404


def test_unknown_log_is_404(witness: Witness, cell: SeenCell) -> None:
    assert witness.add_checkpoint("eu", b"old 0\n\n" + cell.files["checkpoint"]).status == 404
    other = sign(Checkpoint("lightwell/sg", 5, cell.checkpoint.root), cell.key)
    assert ask(witness, cell, 0, other).status == 404


def test_checkpoint_of_an_unknown_key_or_without_a_signature_is_403(witness: Witness, cell: SeenCell) -> None:
    assert ask(witness, cell, 0, sign(cell.checkpoint, key("lightwell/us"))).status == 403
    assert ask(witness, cell, 0, cell.checkpoint.text()).status == 403
    assert ask(witness, cell, 0, cell.checkpoint.text() + "\n").status == 403


def test_bad_signature_of_the_logs_key_is_403_even_beside_another(witness: Witness, cell: SeenCell) -> None:
    text, (own,) = split_note(cell.files["checkpoint"].decode())
    forged = Signature(own.name, own.key_id, bytes([own.signature[0] ^ 1]) + own.signature[1:])
    stranger = key("example.com/other").sign_text(text)
    assert ask(witness, cell, 0, join_note(text, [forged])).status == 403
    assert ask(witness, cell, 0, join_note(text, [stranger, forged])).status == 403


def test_cosignature_of_the_witness_itself_does_not_stand_in_for_the_logs(
    witness: Witness, cell: SeenCell
) -> None:
    text = cell.checkpoint.text()
    assert ask(witness, cell, 0, join_note(text, [one.cosign(text, 1) for one in KEYS])).status == 403


def test_old_size_above_the_checkpoint_is_400(witness: Witness, cell: SeenCell) -> None:
    assert ask(witness, cell, 6).status == 400
    ask(witness, cell, 0)
    cell.append(facts(2))
    ask(witness, cell, 5)
    # A truncation: what was cosigned is larger than what is signed now.
    assert ask(witness, cell, 7, sign(Checkpoint("lightwell/us", 5, bytes(32)), cell.key)).status == 400


@pytest.mark.parametrize(
    "head",
    [
        b"", b"old 0", b"old 0\n", b"old x\n\n", b"old 01\n\n", b"old -1\n\n", b"old \n\n", b"old 0 \n\n",
        b"Old 0\n\n", b"\xff\n\n", b"old 0\n!\n\n", b"old 0\r\n\r\n", b"old 9223372036854775808\n\n",
        b"old 0\nAAAA\n\n",
    ],
)  # fmt: skip
def test_malformed_request_is_400(witness: Witness, cell: SeenCell, head: bytes) -> None:
    note = cell.files["checkpoint"] if head.endswith(b"\n\n") else b""
    assert witness.add_checkpoint("us", head + note).status == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n5\n", "\n05\n"),
        lambda note: note.replace("\n5\n", "\n\x01\n"),
        lambda note: note[:-1],
        lambda note: note.replace("— ", "- "),
        lambda note: note + "— name !\n",
    ],
)
def test_malformed_checkpoint_is_400_or_not_signed_403(
    witness: Witness, cell: SeenCell, change: Callable[[str], str]
) -> None:
    assert ask(witness, cell, 0, change(cell.files["checkpoint"].decode())).status in (400, 403)


@pytest.mark.parametrize("text", ["lightwell/us\n5\n", "lightwell/us\n05\nAAAA\n", "lightwell/us\nx\ny\nz\n"])
def test_what_the_log_signed_but_is_no_checkpoint_is_400(witness: Witness, cell: SeenCell, text: str) -> None:
    assert ask(witness, cell, 0, sign_note(text, cell.key)).status == 400


def test_63_proof_lines_are_read_and_64_are_400(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    cell.append(facts(3))
    for lines, status in ((PROOF_LINES_LIMIT, 422), (PROOF_LINES_LIMIT + 1, 400)):
        body = encode_request(5, [bytes(32)] * lines, cell.files["checkpoint"].decode())
        assert witness.add_checkpoint("us", body).status == status


def test_base64_with_spare_bits_is_refused(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    cell.append(facts(1))
    line = base64.b64encode(bytes(32)).decode()[:-2] + "B="
    body = f"old 5\n{line}\n\n".encode() + cell.files["checkpoint"]
    assert witness.add_checkpoint("us", body).status == 400


# --- 409, 422


def test_old_size_that_is_not_the_last_cosigned_is_409_with_the_size(
    witness: Witness, cell: SeenCell
) -> None:
    assert ask(witness, cell, 3).body == "0\n"
    assert ask(witness, cell, 0).status == 200
    answer = ask(witness, cell, 0)
    assert (answer.status, answer.body, answer.content_type) == (409, "5\n", SIZE)


def test_the_old_size_is_judged_before_what_follows_it(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    wrong_empty = encode_request(0, [bytes(32)], claim(cell, 0, b"\1" * 32))
    assert witness.add_checkpoint("us", wrong_empty).status == 409
    assert ask(witness, cell, 6, claim(cell, 5, cell.checkpoint.root, key("lightwell/us"))).status == 403


def test_proof_from_the_empty_tree_is_422(witness: Witness, cell: SeenCell) -> None:
    body = encode_request(0, [bytes(32)], cell.files["checkpoint"].decode())
    assert witness.add_checkpoint("us", body).status == 422
    assert ask(witness, cell, 0).status == 200


def test_empty_tree_with_another_root_is_422_and_found(
    witness: Witness, cell: SeenCell, tmp_path: Path
) -> None:
    assert ask(witness, cell, 0, claim(cell, 0, b"\1" * 32)).status == 422
    assert ask(witness, cell, 0, claim(cell, 0, b"\1" * 31)).status == 400
    assert [f.key for f in Store(tmp_path / "oversight.db").findings("us")] == ["witness-fork-0"]


def test_proof_that_does_not_verify_is_422_and_changes_nothing(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    cell.append(facts(7))
    good = tiles.consistency_proof(cell.read_tile, 5, 12)
    note = cell.files["checkpoint"].decode()
    for proof in (good[:-1], [*good, bytes(32)], [], [bytes(32), *good[1:]], good[::-1]):
        assert witness.add_checkpoint("us", encode_request(5, proof, note)).status == 422
    assert ask(witness, cell, 12).body == "5\n"


def test_same_tree_with_a_proof_is_422_and_without_it_cosigned_again(
    witness: Witness, cell: SeenCell
) -> None:
    ask(witness, cell, 0)
    body = encode_request(5, [bytes(32)], cell.files["checkpoint"].decode())
    assert witness.add_checkpoint("us", body).status == 422
    assert ask(witness, cell, 5).status == 200


@pytest.mark.parametrize("old", [0, 5])
def test_two_trees_of_one_size_are_refused_and_found(
    witness: Witness, cell: SeenCell, tmp_path: Path, old: int
) -> None:
    ask(witness, cell, 0)
    fork = sign(Checkpoint("lightwell/us", 5, b"\3" * 32), cell.key)
    assert ask(witness, cell, old, fork).status == (422 if old == 5 else 409)
    assert [f.key for f in Store(tmp_path / "oversight.db").findings("us", "ledger")] == ["witness-fork-5"]


def test_a_second_branch_is_never_cosigned(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    branch = SeenCell()
    branch.key = cell.key
    branch.append([*cell.entries[:4], *facts(9, 50)])
    assert ask(witness, branch, 5).status == 422


# --- what is monitored


def test_latest_is_what_was_answered_with_the_logs_signature(witness: Witness, cell: SeenCell) -> None:
    assert witness.latest("us", ORIGIN_HASH).status == 404
    given = ask(witness, cell, 0)
    answer = witness.latest("us", ORIGIN_HASH)
    assert answer.status == 200
    assert answer.body == cell.files["checkpoint"].decode() + given.body
    cell.append(facts(1))
    ask(witness, cell, 4)
    assert witness.latest("us", ORIGIN_HASH) == answer
    given = ask(witness, cell, 5)
    assert witness.latest("us", ORIGIN_HASH).body == cell.files["checkpoint"].decode() + given.body


def test_latest_of_another_origin_or_form_is_404(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    other = hashlib.sha256(b"lightwell/sg").hexdigest()
    for name, wanted in (("us", other), ("us", ORIGIN_HASH.upper()), ("sg", ORIGIN_HASH), ("us", "")):
        assert witness.latest(name, wanted).status == 404


def test_folder_from_before_cosignatures_were_kept_goes_on(cell: SeenCell, tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "oversight.db")
    old.execute(
        """CREATE TABLE witnessed (cell TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL,
        note TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID"""
    )
    row = ("us", 5, cell.checkpoint.root, cell.files["checkpoint"].decode())
    old.execute("INSERT INTO witnessed VALUES (?, ?, ?, ?, 1)", row)
    old.commit()
    old.close()
    witness = open_witness(cell, tmp_path)
    assert ask(witness, cell, 0).body == "5\n"
    assert witness.latest("us", ORIGIN_HASH).status == 404
    assert ask(witness, cell, 5).status == 200
    assert witness.latest("us", ORIGIN_HASH).status == 200


# --- at once, and on a full disk


def test_of_two_requests_at_once_one_is_cosigned(witness: Witness, cell: SeenCell) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(witness, cell, 0).status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 7


def test_racing_requests_never_roll_the_witness_back(
    cell: SeenCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes on one memory, many sizes at once: what is cosigned is one chain that only grows."""
    verify = merkle.verify_consistency

    def slowly(size1: int, root1: bytes, size2: int, root2: bytes, proof: list[bytes]) -> None:
        verify(size1, root1, size2, root2, proof)
        # The larger request is the quicker: the smaller one would overwrite it.
        threading.Event().wait(0.03 / size2)

    monkeypatch.setattr(merkle, "verify_consistency", slowly)
    witnesses = [open_witness(cell, tmp_path) for _ in range(2)]
    assert ask(witnesses[0], cell, 0).status == 200
    notes = {5: cell.files["checkpoint"].decode()}
    for _ in range(20):
        cell.append(facts(1, len(cell.entries)))
        notes[cell.checkpoint.size] = cell.files["checkpoint"].decode()
    cosigned: list[tuple[int, int]] = []

    def climb(witness: Witness, seed: int) -> None:
        order, known = random.Random(seed), 5
        while known < 25:
            size = order.randint(known, min(25, known + 4))
            proof = tiles.consistency_proof(cell.read_tile, known, size) if known < size else []
            answer = witness.add_checkpoint("us", encode_request(known, proof, notes[size]))
            if answer.status == 200:
                cosigned.append((known, size))
                known = size
            else:
                assert answer.status == 409
                assert int(answer.body) >= known
                known = int(answer.body)

    threads = [threading.Thread(target=climb, args=(witnesses[n % 2], n)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    steps = sorted({step for step in cosigned if step[0] != step[1]})
    assert [size for size, _ in steps] == [5, *(size for _, size in steps[:-1])]
    assert steps[-1][1] == 25
    assert len([step for step in cosigned if step[0] != step[1]]) == len(steps)


def test_what_cannot_be_stored_is_not_cosigned(cell: SeenCell, tmp_path: Path) -> None:
    store = Store(tmp_path / "oversight.db")
    witness = Witness(store, KEYS, {"us": ("lightwell/us", cell.key.verifier())})
    with store.write() as db:
        db.execute("CREATE TABLE filler (data BLOB)")
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        ask(witness, cell, 0)
    assert witness.latest("us", ORIGIN_HASH).status == 404
    with store.write() as db:
        db.execute("PRAGMA max_page_count = 100000")
    assert ask(witness, cell, 5).body == "0\n"
    assert ask(witness, cell, 0).status == 200


def test_every_cosignature_is_on_the_disk_before_it_is_given(tmp_path: Path) -> None:
    with Store(tmp_path / "oversight.db").write() as db:
        # 2 is FULL: in WAL mode each commit waits for the disk.
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
