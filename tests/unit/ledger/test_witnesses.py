"""Asking witnesses: cosignatures that verify are taken, anything else costs only its line."""

from collections.abc import Callable

import httpx
import pytest

from lightwell.base.settings import WitnessSettings
from lightwell.ledger import witnesses as module
from lightwell.ledger.witnesses import Witnesses
from lightwell.wire import checkpoint, merkle
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint
from lightwell.wire.note import COSIGNATURE, NoteError, SigningKey
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
    settings = WitnessSettings(url="http://witness.test/witness/us", vkey=WITNESS.verifier().vkey())
    asked = Witnesses([settings], client)
    counts = []
    for size in sizes:
        note = checkpoint.sign(tree(size), LOG)
        found = asked.collect(tree(size), note, NODE)
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


def test_a_witness_key_that_is_no_cosigners_is_refused() -> None:
    with pytest.raises(NoteError, match="cosigner"):
        Witnesses([WitnessSettings(url="http://w.test", vkey=LOG.verifier().vkey())])
