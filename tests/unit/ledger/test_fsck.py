"""A check of a whole ledger from outside names what is wrong and where."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.ledger import fsck
from lightwell.ledger.download import UnreadableError
from lightwell.ledger.fsck_tree import reading_order
from lightwell.ledger.reader import open_ledger
from lightwell.wire import merkle, tiles, trust
from lightwell.wire.audit import PROBLEM_LIMIT
from lightwell.wire.checkpoint import Checkpoint, sign
from lightwell.wire.edge import Edge
from lightwell.wire.keys import COSIGNATURE, SigningKey
from tests.unit.ledger.outside import KEY, WITNESSES, Made, entry, made, packed, plainly, serving

# Two levels and no unfinished leaf; three levels with every one unfinished; one unfinished leaf tile.
SIZES = (200, 256, 700, 1024, 65_536 + 300)
LEDGERS = {size: made(size) for size in SIZES}
POLICY = trust.of_keys(KEY.verifier())


def check(files: dict[str, bytes]) -> fsck.Report:
    return fsck.check_url(files.get, KEY.verifier())


def named(report: fsck.Report) -> list[str]:
    return [line.partition(":")[0] for line in report.problems]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return LEDGERS[700].write(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700, 65_536])
def test_a_sound_ledger_has_no_problems(size: int) -> None:
    ledger = LEDGERS.get(size) or made(size)
    report = check(ledger.files)
    assert (report.problems, report.origin, report.size) == ((), "lightwell/us", size)
    assert report.kinds == ({"PolicyAdopted": size} if size else {})
    assert report.complete


def test_progress_is_told_after_each_bundle_in_order(folder: Path) -> None:
    sizes: list[int] = []
    done: list[int] = []
    fsck.check_folder(folder, KEY.verifier(), on_size=sizes.append, on_progress=done.append)
    assert (sizes, done) == ([700], [256, 512, 700])


@pytest.mark.parametrize("size", SIZES)
def test_files_are_read_in_the_order_that_is_read_ahead_and_each_once(size: int) -> None:
    ledger, asked = LEDGERS[size], []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return ledger.files.get(path)

    fsck.check_url(read, KEY.verifier())
    assert asked[1:] == list(reading_order(size))
    assert sorted(asked[1:]) == sorted(tiles.paths(size))


@given(data=st.data())
@settings(max_examples=150)
def test_a_flipped_bit_anywhere_is_reported_and_that_file_alone_is_named(data: st.DataObject) -> None:
    # The largest costs a second a time; it has a test of its own below.
    files = LEDGERS[data.draw(st.sampled_from(SIZES[:-1]))].current()
    path = data.draw(st.sampled_from(sorted(files)))
    bit = data.draw(st.integers(0, 8 * len(files[path]) - 1))
    report = check({**files, path: flip(files[path], bit)})
    assert set(named(report)) == {path}


@pytest.mark.parametrize("path", ["tile/2/000.p/1", "tile/1/000", "tile/1/001.p/1", "tile/0/007"])
def test_in_a_tree_of_three_levels_a_flipped_bit_is_blamed_on_its_own_file(path: str) -> None:
    files = LEDGERS[SIZES[-1]].current()
    assert named(check({**files, path: flip(files[path], 77)})) == [path]


@given(data=st.data())
@settings(max_examples=60)
def test_of_several_damaged_files_every_one_is_named(data: st.DataObject) -> None:
    files = LEDGERS[data.draw(st.sampled_from(SIZES[:-1]))].current()
    damaged = data.draw(st.sets(st.sampled_from(sorted(set(files) - {"checkpoint"})), min_size=1, max_size=4))
    broken = dict(files)
    for path in damaged:
        broken[path] = flip(files[path], data.draw(st.integers(0, 8 * len(files[path]) - 1)))
    assert damaged <= set(named(check(broken)))


@given(data=st.data())
@settings(max_examples=60)
def test_a_file_that_is_gone_cut_short_or_too_long_is_named_alone(data: st.DataObject) -> None:
    files = LEDGERS[data.draw(st.sampled_from(SIZES[:-1]))].current()
    path = data.draw(st.sampled_from(sorted(files)))
    how = data.draw(st.sampled_from(["gone", "short", "empty", "long"]))
    damaged = {
        "gone": None,
        "short": files[path][: data.draw(st.integers(1, len(files[path]) - 1))],
        "empty": b"",
        "long": files[path] + b"\0",
    }[how]
    broken = {name: content for name, content in files.items() if name != path}
    if damaged is not None:
        broken[path] = damaged
    assert set(named(check(broken))) == {path}


def test_a_partial_file_that_is_gone_is_read_from_the_full_one() -> None:
    ledger = made(300)
    covered = ledger.files["checkpoint"]
    ledger.grow([entry(n) for n in range(300, 600)])
    kept = {path: content for path, content in ledger.files.items() if path.count(".p/44") == 0}
    report = check({**kept, "checkpoint": covered})
    assert (report.problems, report.size) == ((), 300)


def test_an_entry_rewritten_with_its_tile_is_blamed_on_both() -> None:
    files = LEDGERS[700].current()
    changed = [entry(n + 1000) for n in range(256)]
    files["tile/entries/001"] = tiles.encode_bundle(changed)
    files["tile/0/001"] = b"".join(merkle.leaf_hash(one) for one in changed)
    assert set(named(check(files))) == {"tile/entries/001", "tile/0/001"}


def test_a_tree_other_than_the_signed_one_is_blamed_on_the_checkpoint_alone() -> None:
    files = LEDGERS[700].current()
    other = sign(Checkpoint("lightwell/us", 700, bytes(32)), KEY)
    report = check({**files, "checkpoint": other.encode()})
    assert report.problems == ("checkpoint: its root is not that of the entries",)


def test_a_signed_size_that_nobody_has_entries_for_ends_after_a_thousand_problems() -> None:
    note = sign(Checkpoint("lightwell/us", 2**62 + 7, bytes(32)), KEY)
    report = check({"checkpoint": note.encode()})
    assert len(report.problems) == PROBLEM_LIMIT
    assert not report.complete


def test_a_checkpoint_of_another_key_is_named(folder: Path) -> None:
    other = SigningKey.generate("lightwell/us", bytes([1]) * 32)
    report = fsck.check_folder(folder, other.verifier())
    assert report.problems[0].startswith("checkpoint: ")
    assert (report.size, report.complete) == (0, False)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    assert fsck.check_folder(tmp_path, KEY.verifier()).problems == ("checkpoint: missing",)
    with pytest.raises(UnreadableError):
        fsck.check_folder(tmp_path / "nowhere", KEY.verifier())


def test_entries_of_no_known_form_are_named_and_unknown_kinds_are_counted() -> None:
    ledger = Made()
    ledger.grow([entry(1), b'{"kind":"FromLater","v":9}', b"not json", b'{"kind":"FromLater","v":8}'])
    report = check(ledger.files)
    (problem,) = report.problems
    assert problem.startswith("tile/entries/000.p/4: entry 2: ")
    assert (report.kinds, report.unknown_kinds) == ({"PolicyAdopted": 1}, {"FromLater": 2})


def test_names_of_kinds_that_a_log_makes_up_do_not_fill_the_memory() -> None:
    ledger = Made()
    ledger.grow([b'{"kind":"K%d%s","v":1}' % (n, b"x" * 1000) for n in range(300)])
    report = check(ledger.files)
    assert len(report.unknown_kinds) == 101
    assert report.unknown_kinds["(others)"] == 200
    assert max(map(len, report.unknown_kinds)) == 200


class TestCosigners:
    KEYS = tuple(key.verifier() for key in WITNESSES)

    def policy(self, quorum: int) -> trust.TrustPolicy:
        lines = [f"log {KEY.verifier().vkey()}"]
        lines += [f"witness w{n} {key.vkey()}" for n, key in enumerate(self.KEYS)]
        return trust.parse("\n".join([*lines, f"group all {quorum} w0 w1 w2", "quorum all\n"]).encode())

    def report(self, tmp_path: Path, ledger: Made, quorum: int) -> fsck.Report:
        return fsck.check(open_ledger(str(ledger.write(tmp_path))), self.policy(quorum))

    def test_each_cosigner_is_listed_with_its_time(self, tmp_path: Path) -> None:
        report = self.report(tmp_path, made(300, WITNESSES[:2]), 2)
        assert report.problems == ()
        assert [one.name for one in report.cosigners] == ["witness1.test", "witness2.test"]
        assert [one.vkey for one in report.cosigners] == [key.vkey() for key in self.KEYS[:2]]
        assert {one.at for one in report.cosigners} == {1_700_000_000}

    def test_a_missing_quorum_is_a_problem_and_the_tree_is_checked_all_the_same(self, tmp_path: Path) -> None:
        ledger = made(300, WITNESSES[:1])
        ledger.files["tile/0/000"] = flip(ledger.files["tile/0/000"], 5)
        report = self.report(tmp_path, ledger, 2)
        assert named(report) == ["checkpoint", "tile/0/000"]
        assert "quorum" in report.problems[0]

    def test_a_bad_cosignature_is_a_problem_and_the_tree_is_checked_all_the_same(
        self, tmp_path: Path
    ) -> None:
        ledger = made(300, WITNESSES[:1])
        forged = SigningKey.generate("witness1.test", bytes([9]) * 32, COSIGNATURE)
        text = ledger.files["checkpoint"].decode().partition("\n\n")[0] + "\n"
        line = forged.cosign(text, 5)
        bad = type(line)(line.name, self.KEYS[0].key_id, line.signature)
        ledger.files["checkpoint"] = f"{text}\n{KEY.sign_text(text).line()}{bad.line()}".encode()
        report = self.report(tmp_path, ledger, 1)
        assert "bad signature of witness1.test" in report.problems[0]
        assert (report.size, report.complete) == (300, True)

    def test_signatures_by_keys_that_were_not_given_are_named_as_unchecked(self) -> None:
        report = check(made(3, WITNESSES[:2]).files)
        assert (report.cosigners, report.strangers) == ((), ("witness1.test", "witness2.test"))
        assert report.problems == ()


class TestFolder:
    def test_files_of_entries_not_yet_covered_and_drafts_are_notes_not_problems(self, tmp_path: Path) -> None:
        ledger = made(300)
        covered = ledger.files["checkpoint"]
        ledger.grow([entry(n) for n in range(300, 900)])
        folder = ledger.write(tmp_path, {**ledger.files, "checkpoint": covered})
        (folder / "checkpoint.77.new").write_bytes(b"half")
        (folder / "tile/0/notes.txt").write_bytes(b"?")
        report = fsck.check_folder(folder, KEY.verifier())
        assert report.problems == ()
        assert "tile/0/notes.txt: not a file of a ledger" in report.notes
        assert "drafts that a writer did not finish (.new): 1" in report.notes
        assert any(
            note.startswith("files of entries that the checkpoint does not cover yet: ")
            for note in report.notes
        )

    def test_older_partial_files_that_begin_as_today_s_are_no_matter(self, tmp_path: Path) -> None:
        ledger = Made()
        for size in (3, 70, 256, 300, 700):
            ledger.grow([entry(n) for n in range(ledger.edge.size, size)])
        report = fsck.check_folder(ledger.write(tmp_path), KEY.verifier())
        assert (report.problems, report.notes) == ((), ())

    @given(data=st.data())
    @settings(max_examples=25)
    def test_an_older_partial_file_that_says_something_else_is_named(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        ledger = made(70)
        ledger.grow([entry(n) for n in range(70, 300)])
        older = data.draw(st.sampled_from(["tile/0/000.p/70", "tile/entries/000.p/70"]))
        bit = data.draw(st.integers(0, 8 * len(ledger.files[older]) - 1))
        files = {**ledger.files, older: flip(ledger.files[older], bit)}
        report = fsck.check_folder(ledger.write(tmp_path_factory.mktemp("ledger"), files), KEY.verifier())
        assert named(report) == [older]


def test_a_ledger_reads_the_same_in_its_folder_at_its_address_and_at_its_cell_s(folder: Path) -> None:
    here = fsck.check(open_ledger(str(folder)), POLICY)
    files = LEDGERS[700].files
    for respond in (plainly(files), plainly(files, "/ledger/"), packed(plainly(files))):
        with serving(respond) as server:
            ledger = open_ledger(f"{server.url}/")
            assert fsck.check(ledger, POLICY) == here
            ledger.close()
    assert (here.problems, here.size) == ((), 700)


def test_the_tree_grown_by_the_writer_s_own_edge_is_what_is_checked() -> None:
    # The helper's ledger is that of `Edge`: were it wrong in itself, every test above would be.
    leaves = [merkle.leaf_hash(entry(n)) for n in range(700)]
    edge = Edge()
    edge.append([entry(n) for n in range(700)], leaves)
    assert LEDGERS[700].edge.root() == edge.root() == merkle.root(leaves)


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
