"""The witness cosigns only what extends its last cosignature, answers as C2SP says, and remembers."""

import base64
import threading
from pathlib import Path

import pytest

from lightwell.oversight.store import Store
from lightwell.oversight.witness import Answer, Witness
from lightwell.wire import tiles
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint, sign
from lightwell.wire.note import COSIGNATURE
from lightwell.wire.witnessing import encode_request
from tests.factories.seen_cell import SeenCell, key
from tests.unit.oversight.test_follow import facts

WITNESS = key("oversight-witness", COSIGNATURE)


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.append(facts(5))
    return cell


@pytest.fixture
def witness(cell: SeenCell, tmp_path: Path) -> Witness:
    return open_witness(cell, tmp_path)


def open_witness(cell: SeenCell, folder: Path) -> Witness:
    return Witness(Store(folder / "oversight.db"), WITNESS, {"us": ("lightwell/us", cell.key.verifier())})


def ask(witness: Witness, cell: SeenCell, old: int, note: str | None = None, cut: int = 0) -> Answer:
    size = cell.checkpoint.size
    proof = tiles.consistency_proof(cell.read_tile, old, size) if 0 < old <= size else []
    body = encode_request(old, proof[: len(proof) - cut], note or cell.files["checkpoint"].decode())
    return witness.add_checkpoint("us", body)


def test_first_checkpoint_is_cosigned_without_a_proof(witness: Witness, cell: SeenCell) -> None:
    answer = ask(witness, cell, 0)
    assert answer.status == 200
    note = cell.files["checkpoint"].decode() + answer.body
    opened = open_checkpoint(note, cell.key.verifier(), [WITNESS.verifier()])
    assert set(opened.cosigned_by()) == {"oversight-witness"}


def test_growth_with_a_proof_is_cosigned_and_survives_a_restart(
    witness: Witness, cell: SeenCell, tmp_path: Path
) -> None:
    assert ask(witness, cell, 0).status == 200
    cell.append(facts(300))
    assert ask(witness, cell, 5).status == 200
    again = open_witness(cell, tmp_path)
    answer = ask(again, cell, 5)
    assert (answer.status, answer.body, answer.content_type) == (409, "305\n", "text/x.tlog.size")
    assert ask(again, cell, 305).status == 200


def test_unknown_log_is_404(witness: Witness, cell: SeenCell) -> None:
    assert witness.add_checkpoint("eu", b"old 0\n\n" + cell.files["checkpoint"]).status == 404
    other = sign(Checkpoint("lightwell/sg", 5, cell.checkpoint.root), cell.key)
    assert ask(witness, cell, 0, other).status == 404


def test_checkpoint_of_an_unknown_key_is_403(witness: Witness, cell: SeenCell) -> None:
    assert ask(witness, cell, 0, sign(cell.checkpoint, key("lightwell/us"))).status == 403


def test_old_size_above_the_checkpoint_is_400(witness: Witness, cell: SeenCell) -> None:
    assert ask(witness, cell, 6).status == 400


@pytest.mark.parametrize(
    "body", [b"", b"old 0", b"old x\n\nnote", b"old 01\n\nnote", b"\xff\n\n", b"old 0\n!\n\nnote"]
)
def test_malformed_request_is_400(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint("us", body).status == 400


def test_old_size_that_is_not_the_last_cosigned_is_409_with_the_size(
    witness: Witness, cell: SeenCell
) -> None:
    assert ask(witness, cell, 3).body == "0\n"
    assert ask(witness, cell, 0).status == 200
    answer = ask(witness, cell, 0)
    assert (answer.status, answer.body, answer.content_type) == (409, "5\n", "text/x.tlog.size")


def test_proof_that_does_not_verify_is_422_and_changes_nothing(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    cell.append(facts(7))
    assert ask(witness, cell, 5, cut=1).status == 422
    assert ask(witness, cell, 12).body == "5\n"


def test_two_trees_of_one_size_are_refused_and_found(
    witness: Witness, cell: SeenCell, tmp_path: Path
) -> None:
    ask(witness, cell, 0)
    fork = sign(Checkpoint("lightwell/us", 5, b"\3" * 32), cell.key)
    assert ask(witness, cell, 5, fork).status == 422
    assert len(Store(tmp_path / "oversight.db").findings("us", "ledger")) == 1


def test_a_second_branch_is_never_cosigned(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    branch = SeenCell()
    branch.key = cell.key
    branch.append([*cell.entries[:4], *facts(9, 50)])
    assert ask(witness, branch, 5).status == 422


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


def test_base64_with_spare_bits_is_refused(witness: Witness, cell: SeenCell) -> None:
    ask(witness, cell, 0)
    cell.append(facts(1))
    line = base64.b64encode(bytes(32)).decode()[:-2] + "B="
    assert (
        witness.add_checkpoint("us", f"old 5\n{line}\n\n".encode() + cell.files["checkpoint"]).status == 400
    )
