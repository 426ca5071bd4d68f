"""Asking witnesses: cosignatures that verify are taken, anything else costs only its line."""

import threading
from collections.abc import Callable

import httpx
import pytest

from lightwell.ledger import witnesses as module
from lightwell.ledger.witnesses import Witnesses
from lightwell.wire import checkpoint, merkle
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, SigningKey
from lightwell.wire.trust import Group, Known, TrustPolicy
from lightwell.wire.witnessing import parse_request

LOG = SigningKey.generate("lightwell/us", bytes(32))
WITNESS = SigningKey.generate("witness", bytes([1]) * 32, COSIGNATURE)
LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(20)]
NODE = merkle.in_memory(LEAVES)


def tree(size: int) -> Checkpoint:
    return Checkpoint("lightwell/us", size, merkle.root(LEAVES[:size]))


class Memory:
    """A witness of one log as the protocol has it, in memory."""

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        asked = parse_request(request.content)
        opened = open_checkpoint(asked.note, LOG.verifier()).checkpoint
        if asked.old_size != self.size:
            return httpx.Response(409, text=f"{self.size}\n", headers={"content-type": "text/x.tlog.size"})
        if self.size:
            merkle.verify_consistency(
                self.size, merkle.root(LEAVES[: self.size]), opened.size, opened.root, asked.proof
            )
        else:
            assert asked.proof == ()
        self.size = opened.size
        return httpx.Response(200, text=WITNESS.cosign(opened.text(), 1000).line())


def ask(answer: Callable[[httpx.Request], httpx.Response], *sizes: int) -> tuple[Witnesses, list[int]]:
    """Ask one witness about trees of these sizes; return it and how many cosignatures each brought."""
    client = httpx.Client(transport=httpx.MockTransport(answer))
    known = Known(WITNESS.verifier(), "http://witness.test/witness/us")
    asked = Witnesses(TrustPolicy("w", (), {"w": known}), client)
    counts = []
    for size in sizes:
        note = checkpoint.sign(tree(size), LOG)
        found, has_quorum = asked.collect(tree(size), note, NODE)
        assert has_quorum == bool(found)
        assert all(WITNESS.verifier().verify_text(tree(size).text(), s.signature) for s in found)
        counts.append(len(found))
    return asked, counts


def test_a_growing_tree_is_cosigned_each_time() -> None:
    asked, counts = ask(Memory(), 0, 1, 5, 5, 17)
    assert counts == [1, 1, 1, 1, 1]
    assert (asked.all[0].cosigned_size, asked.all[0].cosigned_at, asked.all[0].problem) == (17, 1000, None)
    assert not asked.due(17)
    assert asked.due(18)


def test_a_witness_that_knows_another_size_is_asked_again_from_there() -> None:
    witness = Memory(size=7)
    assert ask(witness, 12)[1] == [1]
    assert witness.requests == 2


def test_a_witness_ahead_of_the_ledger_gets_no_proof_backwards() -> None:
    asked, counts = ask(Memory(size=15), 12)
    assert counts == [0]
    assert "15" in (asked.all[0].problem or "")


def test_a_witness_that_is_down_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def refuse(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        raise httpx.ConnectError("refused", request=request)

    asked, counts = ask(refuse, 1, 2, 3)
    assert (counts, calls) == ([0, 0, 0], 1)
    assert asked.all[0].problem == "no answer: ConnectError"
    assert not asked.due(3)
    monkeypatch.setattr(module.time, "monotonic", lambda: asked.all[0].ask_again_at)
    assert asked.due(3)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text=""),
        httpx.Response(200, text="not a signature\n"),
        httpx.Response(200, text=LOG.sign_text("lightwell/us\n").line()),
        httpx.Response(200, text=WITNESS.cosign(tree(4).text(), 1000).line()),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(409, text="many\n"),
        httpx.Response(409, text="3\n"),
        httpx.Response(422, text=""),
        httpx.Response(500, text="x" * 10_000),
    ],
)
def test_an_answer_that_is_no_cosignature_is_only_a_missing_line(answer: httpx.Response) -> None:
    asked, counts = ask(lambda _: answer, 5)
    assert counts == [0]
    assert asked.all[0].problem
    assert asked.all[0].cosigned_size in (0, 3)


def test_a_quorum_is_enough_and_a_slow_witness_does_not_hold_it_up() -> None:
    released = threading.Event()
    quick, slow = Memory(), Memory()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "slow.test":
            released.wait(10)
            return slow(request)
        return quick(request)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    other = SigningKey.generate("other", bytes([2]) * 32, COSIGNATURE)
    witnesses = {
        "quick": Known(WITNESS.verifier(), "http://quick.test"),
        "slow": Known(other.verifier(), "http://slow.test"),
    }
    asked = Witnesses(TrustPolicy("g", (), witnesses, {"g": Group(1, ("quick", "slow"))}), client)
    for size in (1, 2, 3):
        found, has_quorum = asked.collect(tree(size), checkpoint.sign(tree(size), LOG), NODE)
        assert has_quorum
        assert [s.name for s in found] == ["witness"]
    # Still busy with the first question, it was not asked a second one.
    assert slow.requests == 0
    released.set()


def test_without_its_quorum_a_checkpoint_is_said_to_lack_it() -> None:
    client = httpx.Client(transport=httpx.MockTransport(Memory()))
    other = SigningKey.generate("other", bytes([2]) * 32, COSIGNATURE)
    witnesses = {
        "w": Known(WITNESS.verifier(), "http://w.test"),
        "o": Known(other.verifier(), "http://o.test"),
    }
    asked = Witnesses(TrustPolicy("g", (), witnesses, {"g": Group(2, ("w", "o"))}), client)
    found, has_quorum = asked.collect(tree(1), checkpoint.sign(tree(1), LOG), NODE)
    assert (len(found), has_quorum) == (1, False)
    assert [line.split(":")[0] for line in asked.down()] == ["o"]


def test_both_keys_of_one_witness_are_taken_from_one_answer() -> None:
    quantum = SigningKey.generate("witness", bytes([1]) * 32, MLDSA_COSIGNATURE)
    requests = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        text = parse_request(request.content).note.rpartition("\n\n")[0] + "\n"
        stranger = SigningKey.generate("stranger", bytes([9]) * 32, COSIGNATURE)
        return httpx.Response(
            200, text="".join(k.cosign(text, 5).line() for k in (WITNESS, quantum, stranger))
        )

    url = "http://witness.test"
    witnesses = {"a": Known(WITNESS.verifier(), url), "b": Known(quantum.verifier(), url + "/")}
    client = httpx.Client(transport=httpx.MockTransport(answer))
    asked = Witnesses(TrustPolicy("g", (), witnesses, {"g": Group(2, ("a", "b"))}), client)
    found, has_quorum = asked.collect(tree(1), checkpoint.sign(tree(1), LOG), NODE)
    assert has_quorum
    assert requests == 1
    assert {s.verifier or s.key_id for s in found} == {WITNESS.verifier().key_id, quantum.verifier().key_id}
