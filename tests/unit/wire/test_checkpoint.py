"""Checkpoints: text and value are exact inverses, and only the log's own word counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire import checkpoint
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, open_checkpoint, parse
from lightwell.wire.keys import COSIGNATURE, NoteError, SigningKey
from lightwell.wire.merkle import EMPTY_ROOT
from lightwell.wire.note import join_note, sign_note

LOG = SigningKey.generate("lightwell/us", bytes(range(32)))
WITNESS = SigningKey.generate("witness.example", bytes([5]) * 32, COSIGNATURE)
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TREE = Checkpoint("lightwell/us", 7, bytes(32))


def test_the_example_of_the_specification_is_read() -> None:
    text = f"example.com/behind-the-sofa\n20852163\n{ROOT}\n"
    assert parse(text).size == 20852163
    assert parse(text).text() == text


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30),
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_what_is_written_is_read_back(origin: str, size: int, root: bytes) -> None:
    one = Checkpoint(origin, size, root)
    assert parse(one.text()) == one


def test_extension_lines_are_kept() -> None:
    text = f"o\n1\n{ROOT}\nextension one\ntwo\n"
    assert parse(text).extensions == ("extension one", "two")
    assert parse(text).text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        f"\n1\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n+1\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n1_0\n{ROOT}\n",
        f"o\n\u0661\n{ROOT}\n",
        f"o\n9223372036854775808\n{ROOT}\n",
        f"o\n{'9' * 5000}\n{ROOT}\n",
        f"o\n0\n{ROOT}\n",
        f"o\n1\n{ROOT[:-1]}\n",
        f"o\n1\n{ROOT}",
        f"o\n1\n{ROOT}\n\n",
        f"o\n1\n{ROOT}\n\nx\n",
        f"o\n1\n{ROOT[:-2]}J=\n",
        "o\n1\nAAAA\n",
    ],
)
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        parse(text)


def test_the_empty_tree_has_one_root() -> None:
    assert parse(Checkpoint("o", 0, EMPTY_ROOT).text()).size == 0
    with pytest.raises(CheckpointError):
        Checkpoint("o", 0, bytes(32)).text()


def test_a_witness_cannot_stand_in_for_the_log() -> None:
    note = join_note(TREE.text(), [WITNESS.cosign(TREE.text(), 100)])
    with pytest.raises(NoteError, match="log has not signed"):
        open_checkpoint(note, LOG.verifier(), [WITNESS.verifier()])


def test_cosignatures_of_known_witnesses_are_told_with_their_time() -> None:
    note = checkpoint.sign(TREE, LOG) + WITNESS.cosign(TREE.text(), 100).line()
    opened = open_checkpoint(note, LOG.verifier(), [WITNESS.verifier()], origin="lightwell/us")
    assert opened.checkpoint == TREE
    assert opened.cosigned_by() == {"witness.example": 100}
    assert open_checkpoint(note, LOG.verifier()).cosigned_by() == {}


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(CheckpointError, match="another log"):
        open_checkpoint(checkpoint.sign(TREE, LOG), LOG.verifier(), origin="lightwell/sg")


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(CheckpointError):
        open_checkpoint(sign_note("lightwell/promise/v1\n", LOG), LOG.verifier())
