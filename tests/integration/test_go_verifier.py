"""A stranger's software agrees: Go's sumdb packages accept honest ledgers and refuse every altered one."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger.queue import enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.wire import canonical, checkpoint, commitment, entries, merkle, receipt, tiles, trust
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.edge import Edge
from lightwell.wire.entries import PolicyAdopted, SlateServed
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, SigningKey
from lightwell.wire.promise import make_promise, make_promises
from lightwell.wire.receipt import Opening, Receipt
from lightwell.wire.tlog_proof import TlogProof
from tests.go_toolchain import go_environment, require_go

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "conformance" / "go"
AT = 1_700_000_040

LOG = SigningKey.generate("lightwell/us", bytes(range(32)))
OTHER = SigningKey.generate("lightwell/us", bytes(32))
W4 = SigningKey.generate("witness.example/w4", bytes([4]) * 32, COSIGNATURE)
W6 = SigningKey.generate("witness.example/w6", bytes([6]) * 32, MLDSA_COSIGNATURE)
WITNESSES = ["-witness", W4.verifier().vkey(), "-witness", W6.verifier().vkey()]

HOLDS, WRONG, UNKNOWN = 0, 1, 2


class Tree:
    """An honest log that grows; its files go into a folder as a writer would leave them."""

    def __init__(self, word: str = "entry") -> None:
        self.edge, self.entries, self.files, self.word = Edge(), list[bytes](), dict[str, bytes](), word

    def grow(self, size: int, word: str | None = None) -> "Tree":
        """Append entries up to `size`."""
        more = [f"{word or self.word} {n}".encode() for n in range(self.edge.size, size)]
        self.append(more)
        return self

    def append(self, more: list[bytes]) -> None:
        self.entries += more
        self.files |= self.edge.append(more, [merkle.leaf_hash(entry) for entry in more])

    def signed(self, *witnesses: SigningKey, key: SigningKey = LOG) -> str:
        """The checkpoint of the present size, cosigned."""
        tree = Checkpoint("lightwell/us", self.edge.size, self.edge.root())
        lines = (witness.cosign(tree.text(), AT).line() for witness in witnesses)
        return checkpoint.sign(tree, key) + "".join(lines)

    def write(self, folder: Path, *witnesses: SigningKey) -> Path:
        """Write what tlog-tiles wants of the present size, and nothing more."""
        for path in tiles.paths(self.edge.size):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self.files[path])
        folder.mkdir(exist_ok=True)
        (folder / "checkpoint").write_text(self.signed(*witnesses), "utf-8")
        return folder

    def proof(self, index: int, *witnesses: SigningKey) -> TlogProof:
        """The offline proof of one entry."""
        node = merkle.in_memory([merkle.leaf_hash(entry) for entry in self.entries])
        steps = merkle.inclusion_proof(node, index, self.edge.size)
        return TlogProof(index, tuple(steps), self.signed(*witnesses))


class Checker:
    """The Go program, as an outsider runs it."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.said = ""

    def __call__(self, *args: object, key: SigningKey = LOG) -> int:
        words = [str(arg) for arg in args]
        verb = words[:1] if words[0] in ("verify", "promise") else []
        command = [str(self.program), *verb, "-vkey", key.verifier().vkey(), *words[len(verb) :]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.said = done.stdout + done.stderr
        # A refusal says why in one line; silence or a Go panic would be neither.
        assert (done.stderr.count("\n") == 1) == (done.returncode != HOLDS), self.said
        assert "panic" not in self.said
        return done.returncode


@pytest.fixture(scope="session")
def check(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    """The program, built once from the sources of this tree, without a network."""
    go = require_go()
    program = tmp_path_factory.mktemp("go") / "ledger-check"
    built = subprocess.run(
        [go, "build", "-o", str(program), "."],
        cwd=SOURCE,
        env=os.environ | go_environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return Checker(program)


SIZES = [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 4096, 65_535, 65_536, 65_537, 65_793]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One log at each of the sizes, as a folder with its checkpoint then."""
    tree, folders = Tree(), {}
    for size in SIZES:
        folders[size] = tree.grow(size).write(tmp_path_factory.mktemp("ledger") / str(size), W4, W6)
    return folders


@pytest.mark.parametrize("size", SIZES)
def test_a_ledger_of_any_size_holds_whole_and_with_all_earlier_checkpoints(
    check: Checker, saved: dict[int, Path], size: int
) -> None:
    earlier = [folder / "checkpoint" for known, folder in saved.items() if known <= size]
    assert check(*WITNESSES, "-all", saved[size], *earlier) == HOLDS, check.said
    assert f"{size} entries, cosigned by {W4.name}, {W6.name}" in check.said
    assert f"consistency: with {len(earlier)} saved checkpoints" in check.said


def test_a_partial_tile_may_be_replaced_by_the_full_one(check: Checker, tmp_path: Path) -> None:
    tree = Tree().grow(300)
    folder = tree.write(tmp_path / "ledger")
    for path in [path for path in tiles.paths(300) if path.endswith(".p/44")]:
        (folder / path).unlink()
        full = tree.grow(512).files[path.removesuffix(".p/44")]
        (folder / path).parent.rmdir()
        (folder / path.removesuffix(".p/44")).write_bytes(full)
    assert check("-all", folder) == HOLDS, check.said


def test_what_a_cells_own_writer_leaves_holds(check: Checker, tmp_path: Path) -> None:
    settings = CellSettings(cell="us", region="us", url="http://us.test", folder=tmp_path / "us")
    settings.folder.mkdir()
    database = Database(f"sqlite:///{tmp_path / 'us.db'}")
    database.create_all()
    earlier = []
    for number, count in enumerate((1, 299, 700)):
        with database.write() as session:
            facts = [PolicyAdopted(at=n, digest="ab" * 32, approvals=1) for n in range(count)]
            enqueue_many(session, facts)
        sequencer = Sequencer(settings, database, LOG)
        while sequencer.run_once():
            pass
        sequencer.close()
        folder = next(settings.folder.rglob("checkpoint")).parent
        assert check("-all", folder, *earlier) == HOLDS, check.said
        earlier.append(tmp_path / f"saved-{number}")
        earlier[-1].write_bytes((folder / "checkpoint").read_bytes())
    assert "1000 entries" in check.said
    database.dispose()


@pytest.fixture
def address(saved: dict[int, Path]) -> Iterator[str]:
    """The ledger of 65,793 entries on a web server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(saved[65_793])))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_ledger_is_read_over_http(check: Checker, saved: dict[int, Path], address: str) -> None:
    assert check(*WITNESSES, "-all", "-sample", 5, address + "/", saved[513] / "checkpoint") == HOLDS, (
        check.said
    )
    assert check(address + "/elsewhere") == UNKNOWN


SMALL = Tree().grow(600)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["checkpoint", *tiles.paths(600)]), data=st.data())
def test_any_flipped_bit_of_any_file_is_refused(
    check: Checker, tmp_path_factory: pytest.TempPathFactory, path: str, data: st.DataObject
) -> None:
    folder = SMALL.write(tmp_path_factory.mktemp("flipped"), W4, W6)
    content = bytearray((folder / path).read_bytes())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    (folder / path).write_bytes(content)
    assert check(*WITNESSES, "-all", folder) == WRONG, f"bit {bit} of {path}: {check.said}"
    shutil.rmtree(folder)


def test_a_missing_or_cut_file_is_refused(check: Checker, tmp_path: Path) -> None:
    for number, path in enumerate(tiles.paths(600)):
        folder = SMALL.write(tmp_path / str(number))
        content = (folder / path).read_bytes()
        for wrong in (content[:-1], content + content[:32], b""):
            (folder / path).write_bytes(wrong)
            assert check("-all", folder) == WRONG
        (folder / path).unlink()
        assert check("-all", folder) == WRONG
        assert path in check.said


def test_a_tile_that_lies_with_its_own_parents_is_refused(check: Checker, tmp_path: Path) -> None:
    folder = SMALL.write(tmp_path / "ledger")
    for path, content in Tree("forged").grow(600).files.items():
        if (folder / path).exists():
            (folder / path).write_bytes(content)
    assert check("-all", folder) == WRONG
    assert check(folder) == WRONG


def test_two_views_of_one_ledger_are_seen(check: Checker, tmp_path: Path) -> None:
    ours = Tree().grow(300).write(tmp_path / "ours")
    for fork in (0, 1, 255, 256, 299):
        other = tmp_path / f"fork-{fork}"
        other.write_text(Tree().grow(fork).grow(300, "other").signed(), "utf-8")
        assert check("-all", ours, other) == WRONG
        assert "two ledgers" in check.said
        other.write_text(Tree().grow(fork).grow(fork + 1, "other").signed(), "utf-8")
        assert check("-all", ours, other) == WRONG


def test_a_ledger_that_shrank_is_seen(check: Checker, saved: dict[int, Path]) -> None:
    assert check(saved[256], saved[257] / "checkpoint") == WRONG
    assert "taken away" in check.said


def test_only_the_ledgers_own_key_opens_its_checkpoint(check: Checker, tmp_path: Path) -> None:
    folder = SMALL.write(tmp_path / "ledger", W4)
    assert check(folder, key=OTHER) == WRONG
    assert check(folder, key=W4) == UNKNOWN, "a key of type 0x04 never stands for a ledger"
    elsewhere = SigningKey.generate("lightwell/sg", bytes(range(32)))
    (folder / "checkpoint").write_text(SMALL.signed(key=elsewhere), "utf-8")
    assert check(folder, key=elsewhere) == WRONG, "signed by the key asked for, but of another origin"


def test_witnesses_are_counted(check: Checker, tmp_path: Path) -> None:
    folder = SMALL.write(tmp_path / "ledger", W4)
    assert check(*WITNESSES, folder) == WRONG
    assert check(*WITNESSES, "-quorum", 1, folder) == HOLDS, check.said
    assert check(*WITNESSES, "-quorum", 3, folder) == UNKNOWN
    assert check("-witness", W4.verifier().vkey(), "-witness", W4.verifier().vkey(), folder) == UNKNOWN
    # A cosignature of other text in a known witness's name spoils the note, whatever the quorum.
    wrong = W6.cosign(Tree().grow(1).signed().partition("\n\n")[0] + "\n", AT).line()
    (folder / "checkpoint").write_text(SMALL.signed(W4) + wrong, "utf-8")
    assert check(*WITNESSES, "-quorum", 1, folder) == WRONG


def test_a_ledger_signed_with_ml_dsa_opens(check: Checker, tmp_path: Path) -> None:
    key = SigningKey.generate("lightwell/us", bytes([9]) * 32, MLDSA_COSIGNATURE)
    folder = SMALL.write(tmp_path / "ledger")
    tree = Checkpoint("lightwell/us", 600, SMALL.edge.root())
    (folder / "checkpoint").write_text(f"{tree.text()}\n{key.cosign(tree.text(), AT).line()}", "utf-8")
    assert check("-all", folder, key=key) == HOLDS, check.said


@pytest.mark.parametrize(
    "words", ["-all", "-sample x .", "-all nowhere", "-witness x .", "verify", "verify nowhere", "-vkey x ."]
)
def test_what_cannot_be_checked_is_said_so(check: Checker, tmp_path: Path, words: str) -> None:
    assert check(*words.replace("nowhere", str(tmp_path / "nowhere")).split()) == UNKNOWN


def slate_receipt(*witnesses: SigningKey, content: bool = True) -> Receipt:
    """A viewer's receipt of entry 7 of 20."""
    slate = canonical.decode(b'{"items":[{"video":"00000000000000dd","why":"fresh <&> \xc3\xa9"}]}')
    digests = (hashlib.sha256(b"inputs").digest(), hashlib.sha256(canonical.encode(slate)).digest())
    made = commitment.commit("slate", b"o" * 16, *digests).hex()
    entry = entries.encode(
        SlateServed(at=AT // 60 * 60, commitment=made, snapshot="ab" * 32, policy="cd" * 32)
    )
    tree = Tree().grow(7)
    tree.append([entry])
    tree.grow(20)
    opening = Opening("slate", b"o" * 16, digests, slate if content else None)
    return Receipt(tree.proof(7, *witnesses), entry, opening)


@pytest.mark.parametrize("content", [True, False])
def test_a_viewers_receipt_holds(check: Checker, tmp_path: Path, content: bool) -> None:
    file = tmp_path / "receipt.tlog-proof"
    file.write_text(slate_receipt(W4, W6, content=content).text(), "utf-8")
    assert check("verify", *WITNESSES, file) == HOLDS, check.said
    assert "entry 7 of lightwell/us, 20 entries" in check.said
    assert "commitment opened" in check.said


def test_a_proof_with_the_entry_beside_it_holds(check: Checker, tmp_path: Path) -> None:
    tree = Tree().grow(300)
    for index in (0, 255, 256, 299):
        file, entry = tmp_path / "a.tlog-proof", tmp_path / "entry"
        file.write_text(tree.proof(index).text(), "utf-8")
        entry.write_bytes(tree.entries[index])
        assert check("verify", "-entry", entry, file) == HOLDS, check.said
        assert check("verify", file) == UNKNOWN
        entry.write_bytes(tree.entries[index - 1])
        assert check("verify", "-entry", entry, file) == WRONG


RECEIPT = slate_receipt(W4).text().encode()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0, len(RECEIPT) * 8 - 1))
def test_any_flipped_bit_of_a_receipt_is_refused(check: Checker, tmp_path: Path, bit: int) -> None:
    content = bytearray(RECEIPT)
    content[bit // 8] ^= 1 << bit % 8
    file = tmp_path / "receipt.tlog-proof"
    file.write_bytes(content)
    # Without an extra line there is nothing to check against: that is code 2, and no pass either.
    assert check("verify", "-witness", W4.verifier().vkey(), file) in (WRONG, UNKNOWN), f"bit {bit}"


def test_a_receipt_with_another_opening_or_content_is_refused(check: Checker, tmp_path: Path) -> None:
    good = slate_receipt()
    assert good.opening is not None
    one, two = good.opening.digests
    content = good.opening.content
    file = tmp_path / "receipt.tlog-proof"
    for wrong in (
        Opening("video", b"o" * 16, (one, two), content),
        Opening("slate", b"p" * 16, (one, two), content),
        Opening("slate", b"o" * 16, (two, one), None),
        Opening("slate", b"o" * 16, (one, two), {"items": []}),
        Opening("slate", b"o" * 16, (), None),
    ):
        file.write_text(Receipt(good.proof, good.entry, wrong).text(), "utf-8")
        assert check("verify", file) == WRONG, check.said


def test_the_program_agrees_with_the_conformance_vectors(check: Checker, tmp_path: Path) -> None:
    found = json.loads((ROOT / "conformance" / "proofs.json").read_text("ascii"))
    keys = json.loads((ROOT / "conformance" / "cosignatures.json").read_text("ascii"))["vkeys"]
    log = SigningKey.generate("lightwell/us", hashlib.sha256(b"conformance log").digest())
    file, entry = tmp_path / "a.tlog-proof", tmp_path / "entry"

    def judge(text: str, *words: object) -> int:
        file.write_bytes(text.encode())
        return check("verify", "-witness", keys["w1"], *words, file, key=log)

    for name, expected in (("valid", HOLDS), ("valid_of_both_types", HOLDS), ("refused", WRONG)):
        for case in found[name]:
            entry.write_text(case["entry"], "utf-8")
            both = ["-witness", keys["w6"]] if name == "valid_of_both_types" else []
            assert judge(case["proof"], *both, "-entry", entry) == expected, (case, check.said)
    for case in found["valid_receipts"]:
        assert judge(case["receipt"]) == HOLDS, check.said
    for case in found["refused_receipts"]:
        assert judge(case["receipt"]) in (WRONG, UNKNOWN), case["why"]


def test_the_program_and_our_own_reader_refuse_the_same_receipts(check: Checker, tmp_path: Path) -> None:
    policy = trust.of_keys(LOG.verifier(), [W4.verifier()])
    text = RECEIPT.decode()
    lines = text.split("\n")
    file = tmp_path / "receipt.tlog-proof"
    for at in range(len(lines)):
        for altered in ([*lines[:at], *lines[at + 1 :]], [*lines[:at], lines[at], *lines[at:]]):
            changed = "\n".join(altered)
            file.write_text(changed, "utf-8")
            ours = HOLDS
            try:
                receipt.parse(changed).verify(policy)
            except receipt.ReceiptError:
                ours = WRONG
            theirs = check("verify", "-witness", W4.verifier().vkey(), file)
            assert (ours == HOLDS) == (theirs == HOLDS), (at, check.said)


def test_the_program_agrees_with_the_conformance_vectors_of_promises(check: Checker, tmp_path: Path) -> None:
    found = json.loads((ROOT / "conformance" / "receipts.json").read_text("ascii"))
    log = SigningKey.generate("lightwell/us", hashlib.sha256(b"conformance log").digest())
    texts = {merkle.leaf_hash(text).hex(): text for text in (b"entry %d" % n for n in range(256))}
    file, entry = tmp_path / "promise.txt", tmp_path / "entry"
    for case in found["valid"]:
        file.write_text(case["promise"], "utf-8")
        entry.write_bytes(texts[case["leaf_hash"]])
        assert check("promise", "-entry", entry, file, key=log) == HOLDS, check.said
        assert f"by second {found['by']}" in check.said
        entry.write_bytes(b"another")
        assert check("promise", "-entry", entry, file, key=log) == WRONG
        assert "of another entry" in check.said
    for case in found["refused"]:
        file.write_text(case["promise"], "utf-8")
        assert check("promise", "-entry", entry, file, key=log) == WRONG, case["why"]
        assert "of another entry" not in check.said, "refused for itself, not for the entry beside it"
    assert check("promise", file, key=log) == UNKNOWN


PROMISED = make_promises(LOG, "lightwell/us", [merkle.leaf_hash(b"%d" % n) for n in range(7)], AT)
FLIPPED = [PROMISED[n].encode() for n in (0, 6)] + [make_promise(LOG, "lightwell/us", bytes(32), AT).encode()]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_a_promise_is_refused(check: Checker, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(FLIPPED)))
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    file, entry = tmp_path / "promise.txt", tmp_path / "entry"
    file.write_bytes(content)
    entry.write_bytes(b"0")
    assert check("promise", "-entry", entry, file) == WRONG
    assert "of another entry" not in check.said, f"bit {bit}"
