"""A receipt is built from checkpoint and tiles alone, in few reads, and verifies; else there is none."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.ledger import prove
from lightwell.ledger.prove import AbsentError, UntrustedError, prove_index, prove_leaf
from lightwell.ledger.reader import Ledger, open_ledger
from lightwell.ledger.signed_tree import MissingError, SignedTree, TreeError
from lightwell.wire import merkle, receipt, tlog_proof, trust
from tests.unit.ledger.outside import (
    KEY,
    WITNESSES,
    Answer,
    Made,
    Respond,
    entry,
    made,
    opens,
    plainly,
    serving,
)

POLICY = trust.of_keys(KEY.verifier())
LEDGER = made(700)
BIG = made(65_536 + 300)


class Memory(Ledger):
    """The files of a made ledger; counts what is read."""

    def __init__(self, files: dict[str, bytes], hinted: int | None = None) -> None:
        self.where = "memory"
        self.files = files
        self.hinted = hinted
        self.asked: list[str] = []

    def read(self, path: str) -> bytes | None:
        self.asked.append(path)
        return self.files.get(path)

    def hint(self, leaf_hash: bytes) -> int | None:
        return self.hinted

    def close(self) -> None:
        return


def leaf(number: int) -> bytes:
    return merkle.leaf_hash(entry(number))


@given(size=st.integers(1, 1200), data=st.data())
@settings(max_examples=50)
def test_what_is_proven_of_any_entry_of_any_size_verifies(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proven = prove_index(Memory(made(size).current()), POLICY, index)
    kept = receipt.parse(proven.text)
    assert kept.verify(POLICY).checkpoint.size == size
    assert (kept.entry, kept.proof.index) == (entry(index), index)


@pytest.mark.parametrize("index", [0, 65_535, 65_536, 65_835])
def test_a_proof_takes_few_reads_however_large_the_ledger(index: int) -> None:
    ledger = Memory(BIG.current())
    prove_index(ledger, POLICY, index)
    # The checkpoint, the bundle, the three unfinished tiles, and the tiles on the ways up.
    assert len(ledger.asked) <= 10
    assert len(set(ledger.asked)) == len(ledger.asked)


@pytest.mark.parametrize("hinted", [None, 5, 3, 699, 10**9])
def test_an_entry_is_found_by_its_leaf_hash_whatever_the_hint(hinted: int | None) -> None:
    proven = prove_leaf(Memory(made(700).current(), hinted), POLICY, leaf(5))
    assert (proven.index, proven.entry) == (5, entry(5))


def test_a_right_hint_saves_the_search() -> None:
    ledger = Memory(BIG.current(), 5)
    prove_leaf(ledger, POLICY, leaf(5))
    assert len(ledger.asked) <= 10


def test_the_search_begins_with_the_newest_tile_and_tells_its_progress() -> None:
    ledger, told = Memory(BIG.current()), []
    prove_leaf(ledger, POLICY, leaf(65_100), lambda done, total: told.append((done, total)))
    leaves = [path for path in ledger.asked if path.startswith("tile/0/")]
    assert leaves[:3] == ["tile/0/257.p/44", "tile/0/256", "tile/0/255"]
    assert told == [(1, 258), (2, 258), (3, 258)]


def test_a_hash_that_only_straddles_two_others_is_not_found() -> None:
    files = made(300).current()
    straddling = files["tile/0/000"][16:48]
    with pytest.raises(AbsentError, match="none of the ledger's 300 entries"):
        prove_leaf(Memory(files), POLICY, straddling)


def test_an_entry_published_between_checkpoint_and_hint_is_proven_by_the_newer_checkpoint() -> None:
    ledger = made(300)
    old = ledger.current()
    ledger.grow([entry(n) for n in range(300, 310)])
    new = ledger.current()

    class Growing(Memory):
        def hint(self, leaf_hash: bytes) -> int | None:
            self.files = new
            return 305

    assert prove_leaf(Growing(old), POLICY, leaf(305)).opened.checkpoint.size == 310


@pytest.mark.parametrize("index", [300, 2**62])
def test_an_entry_that_is_not_there_is_absent(index: int) -> None:
    with pytest.raises(AbsentError, match="the ledger has 300"):
        prove_index(Memory(made(300).current()), POLICY, index)


@given(data=st.data())
@settings(max_examples=50)
def test_a_proof_is_whole_or_refused_over_any_damaged_file(data: st.DataObject) -> None:
    files = LEDGER.current()
    path = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[path]) - 1))
    changed = bytearray(files[path])
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    index = data.draw(st.sampled_from([0, 300, 699]))
    try:
        proven = prove_index(Memory({**files, path: bytes(changed)}), POLICY, index)
    except (TreeError, UntrustedError):
        return
    assert receipt.parse(proven.text).verify(POLICY)
    assert proven.entry == entry(index)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/1/000.p/2", "tile/entries/000"])
def test_a_missing_file_is_named_and_is_no_word_against_the_ledger(path: str) -> None:
    files = made(700).current()
    del files[path]
    with pytest.raises(MissingError, match=f"{path}: missing"):
        prove_index(Memory(files), POLICY, 7)


def test_a_checkpoint_without_its_quorum_proves_nothing() -> None:
    policy = trust.of_keys(KEY.verifier(), [key.verifier() for key in WITNESSES[:2]])
    with pytest.raises(UntrustedError, match="quorum"):
        prove_index(Memory(made(3, WITNESSES[:1]).current()), policy, 0)
    assert prove_index(Memory(made(3, WITNESSES).current()), policy, 0)


def test_an_entry_that_is_no_text_gets_a_plain_proof() -> None:
    ledger = Made()
    ledger.grow([b"\xff\x00", entry(1)])
    proven = prove_index(Memory(ledger.current()), POLICY, 0)
    proof = tlog_proof.parse(proven.text)
    assert proof.extra is None
    assert proof.verify(merkle.leaf_hash(b"\xff\x00"), POLICY)


def test_over_http_the_cell_s_hint_is_used_and_a_lying_one_found_out() -> None:
    files = made(700).current()

    def cell(index: int) -> Respond:
        def respond(path: str) -> Answer:
            if path.startswith("/ledger/proof?leaf="):
                return Answer(b'{"index":%d,"size":700,"proof":[],"checkpoint":""}' % index)
            return plainly(files, "/ledger/")(path)

        return respond

    for hinted in (5, 6):
        with serving(cell(hinted)) as server:
            ledger = open_ledger(server.url)
            assert prove_leaf(ledger, POLICY, leaf(5)).index == 5
            ledger.close()
            assert f"/ledger/proof?leaf={leaf(5).hex()}" in server.asked
            searched = "/ledger/tile/0/001" in server.asked
            assert searched == (hinted == 6)


def test_a_folder_is_searched(tmp_path: Path) -> None:
    assert prove_leaf(open_ledger(str(made(700).write(tmp_path))), POLICY, leaf(5)).index == 5


def test_a_ledger_without_checkpoint_is_unreadable() -> None:
    with pytest.raises(prove.UnreadableError, match="no checkpoint"):
        prove_index(Memory({}), POLICY, 0)


@pytest.mark.parametrize("path", ["tile/2/000.p/1", "tile/1/000", "tile/0/003"])
def test_no_hash_is_given_out_that_does_not_lead_to_the_signed_root(path: str) -> None:
    files = BIG.current()
    tree = SignedTree(files.get, opens(files))
    assert tree.node(0, 3 * 256 + 9) == leaf(3 * 256 + 9)
    assert tree.node(16, 0) == merkle.root([leaf(n) for n in range(65_536)])
    # Another hash in the tile is damaged than the one that is asked for.
    files[path] = files[path][:-1] + bytes([files[path][-1] ^ 1])
    with pytest.raises(TreeError, match=path if path != "tile/2/000.p/1" else "checkpoint"):
        SignedTree(files.get, opens(files)).node(0, 3 * 256 + 9)
