"""The ledger commands as somebody types them: what they print, how they end, and what they leave behind."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightwell.wire import canonical, commitment, entries, receipt, tlog_proof
from lightwell.wire.keys import SigningKey
from lightwell.wire.receipt import Opening, Receipt
from tests.integration.ledger_commands import VKEY, Run, policy, runner
from tests.unit.ledger.outside import WITNESSES, Answer, Made, entry, leaf, plainly, serving

CONTENT = {"slate": ["a", "b"]}
OPENING = Opening(
    "slate", bytes(range(16)), (bytes(32), hashlib.sha256(canonical.encode(CONTENT)).digest()), CONTENT
)
COMMITTED = commitment.commit("slate", OPENING.opening, *OPENING.digests).hex()
SLATE = entries.encode(entries.SlateServed(at=60, commitment=COMMITTED, snapshot="cd" * 32, policy="ef" * 32))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return runner(monkeypatch, capfd, tmp_path)


@pytest.fixture
def ledger(run: Run) -> Made:
    made_here = Made()
    made_here.grow([*(entry(n) for n in range(600)), SLATE], WITNESSES[:2])
    made_here.write(Path("ledger"))
    return made_here


class TestFsck:
    def test_a_whole_ledger_ends_with_0_and_lists_cosigners_and_kinds(self, run: Run, ledger: Made) -> None:
        ended = run("fsck", "ledger", "--policy", policy(2))
        assert (ended.code, ended.err) == (0, "")
        root = ledger.edge.root().hex()
        assert ended.out.splitlines() == [
            f"lightwell/us: 601 entries, 0 problems, root {root}",
            "  cosigned by witness1.test, 2023-11-14 22:13:20 UTC",
            "  cosigned by witness2.test, 2023-11-14 22:13:20 UTC",
            "        600 PolicyAdopted",
            "          1 SlateServed",
        ]

    def test_json_is_one_object_with_the_documented_fields(self, run: Run, ledger: Made) -> None:
        found = run("fsck", "ledger", "--vkey", VKEY, "--json").json
        assert found == {
            "origin": "lightwell/us",
            "size": 601,
            "root": ledger.edge.root().hex(),
            "cosigners": [],
            "strangers": ["witness1.test", "witness2.test"],
            "kinds": {"PolicyAdopted": 600, "SlateServed": 1},
            "unknown_kinds": {},
            "problems": [],
            "notes": [],
            "complete": True,
        }

    def test_a_problem_ends_with_1_and_names_the_file(self, run: Run, ledger: Made) -> None:
        Path("ledger/tile/0/001").unlink()
        ended = run("fsck", "ledger", "--vkey", VKEY)
        assert (ended.code, ended.out.splitlines()[0]) == (1, "tile/0/001: missing")

    def test_a_missing_quorum_ends_with_1(self, run: Run, ledger: Made) -> None:
        ended = run("fsck", "ledger", "--policy", policy(3))
        assert ended.code == 1
        assert "checkpoint: the quorum most is not met: cosigned by w0, w1" in ended.out

    def test_key_and_policy_together_must_agree(self, run: Run, ledger: Made) -> None:
        assert run("fsck", "ledger", "--policy", policy(2), "--vkey", VKEY).code == 0
        other = SigningKey.generate("lightwell/us", bytes([5]) * 32).verifier().vkey()
        ended = run("fsck", "ledger", "--policy", policy(2), "--vkey", other)
        assert (ended.code, ended.err) == (2, "lightwell: policy names no log of this --vkey\n")

    def test_what_a_log_writes_cannot_drive_the_terminal(self, run: Run) -> None:
        made_here = Made()
        loud = canonical.encode({"kind": "\x1b[2J\x9b1m", "v": 1})
        made_here.grow([loud, b'{"\\u001b[31m":1,"kind":"VideoPublished","v":1}'])
        made_here.write(Path("ledger"))
        ended = run("fsck", "ledger", "--vkey", VKEY)
        assert "\x1b" not in ended.out
        assert "\x9b" not in ended.out
        assert "\\u001b[2J" in ended.out

    def test_over_http_it_says_the_same(self, run: Run, ledger: Made) -> None:
        with serving(plainly(ledger.files, "/ledger/")) as server:
            there = run("fsck", server.url, "--vkey", VKEY, "--json")
        assert there.out == run("fsck", "ledger", "--vkey", VKEY, "--json").out


BAD_USE = [
    ("fsck", "ledger"),
    ("fsck", "ledger", "--vkey", "garbage"),
    ("fsck", "ledger", "--vkey", WITNESSES[0].verifier().vkey()),
    ("fsck", "ledger", "--policy", "nowhere"),
    ("fsck", "ledger", "--policy", "binary"),
    ("fsck", "nowhere", "--vkey", VKEY),
    ("fsck", "ledger/checkpoint", "--vkey", VKEY),
    ("fsck", "http://127.0.0.1:1", "--vkey", VKEY),
    ("fsck", "http://[::", "--vkey", VKEY),
    ("fsck", "gopher://a.test", "--vkey", VKEY),
    ("fsck", "a\0b", "--vkey", VKEY),
    ("prove", "ledger", "--vkey", VKEY),
    ("prove", "ledger", "--vkey", VKEY, "--index", "1", "--leaf", "00" * 32),
    ("prove", "ledger", "--vkey", VKEY, "--index", "-1"),
    ("prove", "ledger", "--vkey", VKEY, "--index", "x"),
    ("prove", "ledger", "--vkey", VKEY, "--leaf", "0g" * 32),
    ("prove", "ledger", "--vkey", VKEY, "--leaf", " " * 64),
    ("prove", "ledger", "--vkey", VKEY, "--entry", "nowhere"),
    ("prove", "ledger", "--vkey", VKEY, "--entry", "huge"),
    ("prove", "ledger", "--vkey", VKEY, "--index", "1", "-o", "nowhere/file"),
    ("prove", "ledger", "--vkey", VKEY, "--index", "1", "-o", "ledger"),
    ("verify", "nowhere", "--vkey", VKEY),
    ("verify", "binary", "--vkey", VKEY),
    ("verify", "huge", "--vkey", VKEY),
    ("verify", "ledger", "--vkey", VKEY),
    ("verify", "ledger/checkpoint", "--vkey", VKEY),
    ("verify", "ledger/checkpoint", "--vkey", VKEY, "--witness", VKEY),
    ("verify", "ledger/checkpoint", "--policy", "policy", "--witness", WITNESSES[0].verifier().vkey()),
    ("watch", "ledger", "--vkey", VKEY, "--once"),
    ("watch", "ledger", "--vkey", VKEY, "--once", "--state", "binary"),
    ("watch", "ledger", "--vkey", VKEY, "--once", "--state", "nowhere/state"),
    ("watch", "ledger", "--vkey", VKEY, "--once", "--state", "ledger"),
    ("watch", "ledger", "--vkey", VKEY, "--once", "--state", "s", "--interval", "nan"),
    ("watch", "http://127.0.0.1:1", "--vkey", VKEY, "--once", "--state", "state"),
]


@pytest.mark.parametrize("words", BAD_USE, ids=lambda words: " ".join(words)[:60].replace("\0", "0"))
def test_what_cannot_be_read_or_meant_ends_with_2_and_says_why(
    words: tuple[str, ...], run: Run, ledger: Made
) -> None:
    policy(2)
    Path("binary").write_bytes(b"\xff\xfe\x00")
    with Path("huge").open("wb") as file:
        file.truncate(10**9)
    before = sorted(Path().rglob("*"))
    ended = run(*words)
    assert ended.code == 2
    assert ended.err.startswith(("lightwell: ", "Usage: ", "cannot be read: "))
    assert sorted(Path().rglob("*")) == before


class TestProveAndVerify:
    @pytest.mark.parametrize("index", [0, 255, 599, 600])
    def test_what_is_proven_verifies_offline(self, run: Run, ledger: Made, index: int) -> None:
        proven = run("prove", "ledger", "--index", str(index), "--policy", policy(2), "-o", "r")
        kind = "SlateServed" if index == 600 else "PolicyAdopted"
        assert (proven.code, proven.out) == (0, f"r: entry {index} of 601 in lightwell/us, {kind}\n")
        ended = run("verify", "r", "--policy", "policy")
        assert ended.code == 0
        assert ended.out.splitlines() == [
            f"holds: {kind}, entry {index} of 601 in lightwell/us",
            "  cosigned by witness1.test, 2023-11-14 22:13:20 UTC",
            "  cosigned by witness2.test, 2023-11-14 22:13:20 UTC",
        ]

    def test_a_receipt_goes_from_standard_output_to_standard_input(self, run: Run, ledger: Made) -> None:
        proven = run("prove", "ledger", "--index", "5", "--vkey", VKEY)
        found = run("verify", "-", "--vkey", VKEY, "--json", stdin=proven.out.encode()).json
        assert found == {
            "holds": True,
            "kind": "PolicyAdopted",
            "known": True,
            "index": 5,
            "size": 601,
            "origin": "lightwell/us",
            "cosigners": [],
            "opening": "absent",
            "content": "absent",
        }

    def test_an_entry_is_found_by_leaf_hash_or_by_its_bytes(self, run: Run, ledger: Made) -> None:
        Path("entry").write_bytes(entry(7))
        by_entry = run("prove", "ledger", "--entry", "entry", "--vkey", VKEY, "--json").json
        by_leaf = run("prove", "ledger", "--leaf", leaf(entry(7)).hex(), "--vkey", VKEY, "--json").json
        assert by_entry == by_leaf
        assert by_leaf.keys() == {"proven", "index", "size", "origin", "kind", "leaf_hash", "receipt"}
        assert (by_leaf["index"], by_leaf["leaf_hash"]) == (7, leaf(entry(7)).hex())
        assert receipt.parse(by_leaf["receipt"]).entry == entry(7)

    def test_what_is_not_there_ends_with_1_and_writes_nothing(self, run: Run, ledger: Made) -> None:
        Path("entry").write_bytes(entry(7) + b"\n")
        for words in (["--index", "601"], ["--leaf", "00" * 32], ["--entry", "entry"]):
            ended = run("prove", "ledger", *words, "--vkey", VKEY, "-o", "r")
            assert (ended.code, ended.out) == (1, "")
            assert ended.err.startswith("not proven: ")
            assert not Path("r").exists()
        assert "ends in a newline" in ended.err
        found = run("prove", "ledger", "--index", "601", "--vkey", VKEY, "--json")
        assert found.code == 1
        assert found.json == {"proven": False, "why": "there is no entry 601: the ledger has 601"}

    def test_a_damaged_ledger_gives_no_receipt(self, run: Run, ledger: Made) -> None:
        tile = Path("ledger/tile/0/000")
        tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
        ended = run("prove", "ledger", "--index", "3", "--vkey", VKEY, "-o", "r")
        assert ended.code == 1
        assert "tile/0/000: its hashes do not lead to the checkpoint's root" in ended.err
        assert not Path("r").exists()

    def test_a_failed_write_leaves_the_older_file_and_no_draft(self, run: Run, ledger: Made) -> None:
        Path("r").write_text("older")
        assert run("prove", "ledger", "--index", "601", "--vkey", VKEY, "-o", "r").code == 1
        assert Path("r").read_text() == "older"
        assert run("prove", "ledger", "--index", "6", "--vkey", VKEY, "-o", "r").code == 0
        assert not [name for name in os.listdir() if name.endswith(".new")]

    def test_over_http_a_cell_s_hint_saves_the_search(self, run: Run, ledger: Made) -> None:
        def cell(path: str) -> Answer:
            if path == f"/ledger/proof?leaf={leaf(entry(7)).hex()}":
                return Answer(b'{"index":7,"size":601,"proof":[],"checkpoint":""}')
            return plainly(ledger.files, "/ledger/")(path)

        with serving(cell) as server:
            ended = run("prove", server.url, "--leaf", leaf(entry(7)).hex(), "--vkey", VKEY, "-o", "r")
            assert ended.code == 0
            assert "/ledger/tile/0/001" not in server.asked
        assert run("verify", "r", "--vkey", VKEY).code == 0


class TestVerify:
    @pytest.fixture
    def slate(self, run: Run, ledger: Made) -> Receipt:
        run("prove", "ledger", "--index", "600", "--vkey", VKEY, "-o", "plain")
        return Receipt(receipt.parse(Path("plain").read_text()).proof, SLATE, OPENING)

    def test_opening_and_content_are_checked_and_said(self, run: Run, slate: Receipt) -> None:
        ended = run("verify", "-", "--vkey", VKEY, stdin=slate.text().encode())
        assert ended.code == 0
        assert ended.out.splitlines()[-2:] == [
            "  the opening opens the entry's commitment",
            "  the content is what the commitment covers",
        ]
        found = run("verify", "-", "--vkey", VKEY, "--json", stdin=slate.text().encode()).json
        assert (found["opening"], found["content"]) == ("opens", "matches")

    @pytest.mark.parametrize(
        ("opening", "why"),
        [
            (
                Opening("slate", bytes(16), OPENING.digests),
                "the opening does not open the entry's commitment",
            ),
            (Opening("other", OPENING.opening, OPENING.digests), "the opening does not open"),
            (Opening("slate", OPENING.opening, OPENING.digests, {"slate": []}), "the content is not what"),
        ],
    )
    def test_an_opening_or_content_of_something_else_does_not_hold(
        self, run: Run, slate: Receipt, opening: Opening, why: str
    ) -> None:
        text = Receipt(slate.proof, SLATE, opening).text()
        ended = run("verify", "-", "--vkey", VKEY, stdin=text.encode())
        assert ended.code == 1
        assert why in ended.out
        assert len(ended.out.splitlines()) == 1
        found = run("verify", "-", "--vkey", VKEY, "--json", stdin=text.encode())
        assert (found.code, found.json["holds"]) == (1, False)

    def test_every_named_witness_must_have_cosigned(self, run: Run, slate: Receipt) -> None:
        text = slate.text().encode()
        first, second, third = (key.verifier().vkey() for key in WITNESSES)
        both = run("verify", "-", "--vkey", VKEY, "--witness", first, "--witness", second, stdin=text)
        assert (both.code, both.out.count("cosigned by")) == (0, 2)
        third_too = run("verify", "-", "--vkey", VKEY, "--witness", first, "--witness", third, stdin=text)
        assert third_too.code == 1
        assert run("verify", "-", "--policy", policy(2), stdin=text).code == 0
        assert run("verify", "-", "--policy", policy(3), stdin=text).code == 1

    def test_another_log_s_key_does_not_hold(self, run: Run, slate: Receipt) -> None:
        other = SigningKey.generate("lightwell/us", bytes([5]) * 32).verifier().vkey()
        assert run("verify", "-", "--vkey", other, stdin=slate.text().encode()).code == 1

    def test_a_plain_proof_verifies_with_the_entry_s_bytes(self, run: Run, slate: Receipt) -> None:
        proof = slate.proof
        bare = tlog_proof.TlogProof(proof.index, proof.hashes, proof.checkpoint).text().encode()
        Path("entry").write_bytes(SLATE)
        Path("other").write_bytes(entry(1))
        ended = run("verify", "-", "--vkey", VKEY, "--entry", "entry", stdin=bare)
        assert (ended.code, ended.out.splitlines()[0]) == (
            0,
            "holds: SlateServed, entry 600 of 601 in lightwell/us",
        )
        assert run("verify", "-", "--vkey", VKEY, "--entry", "other", stdin=bare).code == 1
        missing = run("verify", "-", "--vkey", VKEY, stdin=bare)
        assert missing.code == 2
        assert "--entry" in missing.err

    def test_a_receipt_of_another_entry_than_the_given_one_does_not_hold(
        self, run: Run, slate: Receipt
    ) -> None:
        Path("other").write_bytes(entry(1))
        ended = run("verify", "-", "--vkey", VKEY, "--entry", "other", stdin=slate.text().encode())
        assert (ended.code, ended.out) == (
            1,
            "does not hold: the receipt is of another entry than the given one\n",
        )

    def test_no_changed_byte_of_a_receipt_holds(self, run: Run, slate: Receipt) -> None:
        text = slate.text().encode()
        end = text.index("— witness".encode())
        # The lines of witnesses whose keys are not given are nobody's word here.
        for at in range(0, end, 31):
            changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
            assert run("verify", "-", "--vkey", VKEY, stdin=changed).code in {1, 2}


def test_output_that_nobody_reads_any_more_ends_without_a_traceback(tmp_path: Path) -> None:
    made_here = Made()
    made_here.grow([b"?" * 200] * 900)
    made_here.write(tmp_path)
    command = [sys.executable, "-c", "from lightwell.apps.cli import main; main()", "ledger", "fsck"]
    process = subprocess.Popen(
        [*command, str(tmp_path), "--vkey", VKEY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), err) == (141, "")
