"""Any history of a ledger, any two sizes: what is honest is shown, and no altered bit anywhere passes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.wire import merkle, tiles, tlog_proof, trust
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, sign
from lightwell.wire.edge import Edge
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, NoteError, SigningKey
from lightwell.wire.merkle import ProofError
from lightwell.wire.note import join_note, open_note, split_note
from lightwell.wire.tlog_proof import TlogProof
from lightwell.wire.trust import TrustError
from lightwell.wire.witnessing import encode_request, parse_request

AT = 1_700_000_000
LOG = SigningKey.generate("example.com/log", bytes(range(32)))
W4 = SigningKey.generate("w.example/4", bytes([4]) * 32, COSIGNATURE)
W6 = SigningKey.generate("w.example/6", bytes([6]) * 32, MLDSA_COSIGNATURE)
STRANGER = SigningKey.generate("w.example/stranger", bytes([9]) * 32, COSIGNATURE)
POLICY = trust.of_keys(LOG.verifier(), [W4.verifier(), W6.verifier()])

appends = st.lists(st.lists(st.binary(max_size=40), max_size=300), min_size=1, max_size=6)
"""Group commits: each a list of entries, some empty, some over a tile."""


@dataclass
class History:
    """A ledger as a writer leaves it: a checkpoint and files after each group commit."""

    entries: list[bytes] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    heads: dict[int, Checkpoint] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: list[list[bytes]]) -> History:
        """Append each group as the sequencer would, a fresh edge read back from the files each time."""
        history, edge = cls(), Edge()
        for group in groups:
            edge = Edge.load(history.files.__getitem__, edge.size)
            history.files |= edge.append(group, [merkle.leaf_hash(entry) for entry in group])
            history.entries += group
            history.heads[edge.size] = Checkpoint("example.com/log", edge.size, edge.root())
        return history

    def read(self, level: int, index: int, width: int) -> bytes:
        """Read a tile that stands at the newest size, of a narrower width where it was partial."""
        newest = tiles.width_at(level, index, len(self.entries))
        return self.files[tiles.tile_path(level, index, newest)][: width * merkle.HASH_SIZE]

    def root(self, size: int) -> bytes:
        """The root at any size, by the definition and not by the tiles."""
        return merkle.root([merkle.leaf_hash(entry) for entry in self.entries[:size]])


@given(appends, st.data())
def test_inclusion_is_shown_at_any_size_of_any_history(
    groups: list[list[bytes]], data: st.DataObject
) -> None:
    history = History.of([*groups, [b"last"]])
    size = data.draw(st.integers(1, len(history.entries)))
    index = data.draw(st.integers(0, size - 1))
    steps = tiles.inclusion_proof(history.read, index, size)
    leaf = merkle.leaf_hash(history.entries[index])
    merkle.verify_inclusion(leaf, index, size, steps, history.root(size))
    assert tiles.root(history.read, size) == history.root(size)


@given(appends, st.data())
def test_consistency_is_shown_between_any_two_sizes_of_any_history(
    groups: list[list[bytes]], data: st.DataObject
) -> None:
    history = History.of([[b"first"], *groups])
    old = data.draw(st.integers(1, len(history.entries)))
    new = data.draw(st.integers(old, len(history.entries)))
    steps = tiles.consistency_proof(history.read, old, new)
    merkle.verify_consistency(old, history.root(old), new, history.root(new), steps)
    body = encode_request(old, steps, sign(Checkpoint("o", new, history.root(new)), LOG))
    if len(steps) <= 63:
        assert parse_request(body).proof == tuple(steps)


@settings(max_examples=50)
@given(appends)
def test_every_checkpoint_on_the_way_is_a_prefix_of_the_last(groups: list[list[bytes]]) -> None:
    history = History.of(groups)
    sizes = sorted(history.heads)
    last = history.heads[sizes[-1]]
    for size in filter(None, sizes):
        assert history.heads[size].root == history.root(size)
        steps = tiles.consistency_proof(history.read, size, last.size)
        merkle.verify_consistency(size, history.heads[size].root, last.size, last.root, steps)
    assert audit(history.files.get, last) == []


@given(appends, appends, st.data())
def test_two_histories_that_part_are_never_shown_to_be_one(
    groups: list[list[bytes]], others: list[list[bytes]], data: st.DataObject
) -> None:
    ours, theirs = History.of([*groups, [b"ours"]]), History.of([*groups, [b"theirs"], *others])
    size, split = len(ours.entries), len(ours.entries) - 1
    old = data.draw(st.integers(split + 1, size))
    new = data.draw(st.integers(old, len(theirs.entries)))
    steps = tiles.consistency_proof(theirs.read, old, new)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, ours.root(old), new, theirs.root(new), steps)


def flipped(content: bytes, data: st.DataObject) -> bytes:
    """Any one bit of `content` the other way round."""
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(appends, st.data())
def test_a_flipped_bit_of_a_tile_is_seen_by_every_proof_that_uses_it(
    groups: list[list[bytes]], data: st.DataObject
) -> None:
    history = History.of([[b"first"], *groups])
    size = len(history.entries)
    wanted = [path for path in tiles.paths(size) if not path.startswith("tile/entries")]
    path = data.draw(st.sampled_from(wanted))
    index = data.draw(st.integers(0, size - 1))
    honest = tiles.inclusion_proof(history.read, index, size)
    history.files[path] = flipped(history.files[path], data)
    steps = tiles.inclusion_proof(history.read, index, size)
    leaf, root = merkle.leaf_hash(history.entries[index]), history.root(size)
    # A proof that did not use the changed hash is the honest one, and no other passes.
    if steps != honest:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(leaf, index, size, steps, root)
    assert audit(history.files.get, Checkpoint("example.com/log", size, root)) != []


@given(appends, st.data())
def test_a_flipped_bit_of_a_bundle_is_seen(groups: list[list[bytes]], data: st.DataObject) -> None:
    history = History.of([[b"first"], *groups])
    size = len(history.entries)
    path = data.draw(st.sampled_from([path for path in tiles.paths(size) if path.startswith("tile/entries")]))
    history.files[path] = flipped(history.files[path], data)
    assert audit(history.files.get, Checkpoint("example.com/log", size, history.root(size))) != []


TREE = Checkpoint(
    "example.com/log", 3, merkle.root([merkle.leaf_hash(entry) for entry in (b"a", b"b", b"c")])
)
NOTE = join_note(
    TREE.text(), [LOG.sign_text(TREE.text()), *(key.cosign(TREE.text(), AT) for key in (W4, W6))]
)


@settings(max_examples=300)
@given(st.data())
def test_a_flipped_bit_of_a_checkpoint_whose_cosigners_are_all_wanted_is_refused(data: st.DataObject) -> None:
    # Of a line's name and key id too: the line is then of an unknown key, and the wanted one is missing.
    assert POLICY.open(NOTE).checkpoint == TREE
    with pytest.raises((NoteError, CheckpointError, TrustError, UnicodeDecodeError)):
        POLICY.open(flipped(NOTE.encode(), data).decode())


@settings(max_examples=300)
@given(st.data())
def test_a_flipped_bit_in_a_strangers_line_makes_a_note_malformed_or_says_nothing_new(
    data: st.DataObject,
) -> None:
    # signed-note: lines of unknown keys are ignored, so that most bits of one have no meaning here. Those
    # that would make it another line, or a known key's, are refused.
    line = STRANGER.cosign(TREE.text(), AT).line().encode()
    try:
        opened = POLICY.open(NOTE + flipped(line, data).decode())
    except (NoteError, UnicodeDecodeError):
        return
    assert opened.checkpoint == TREE
    assert opened.note.signatures == POLICY.open(NOTE).note.signatures
    assert len(opened.note.others) == 1


@settings(max_examples=300)
@given(st.data())
def test_a_flipped_bit_of_a_note_never_adds_a_signer_or_changes_its_text(data: st.DataObject) -> None:
    # Asked only whether any known key signed, a reader may lose a signer to a flip in its name: never more.
    keys = [key.verifier() for key in (LOG, W4, W6)]
    try:
        opened = open_note(flipped(NOTE.encode(), data).decode(), keys)
    except (NoteError, UnicodeDecodeError):
        return
    assert opened.text == TREE.text()
    assert set(opened.signatures) < set(open_note(NOTE, keys).signatures)


@given(appends, st.data())
def test_offline_proofs_of_any_history_verify_and_read_back(
    groups: list[list[bytes]], data: st.DataObject
) -> None:
    history = History.of([[b"first"], *groups])
    size = len(history.entries)
    index = data.draw(st.integers(0, size - 1))
    tree = Checkpoint("example.com/log", size, history.root(size))
    note = join_note(tree.text(), [LOG.sign_text(tree.text()), W4.cosign(tree.text(), AT)])
    proof = TlogProof(index, tuple(tiles.inclusion_proof(history.read, index, size)), note)
    policy = trust.of_keys(LOG.verifier(), [W4.verifier()])
    read = tlog_proof.parse(proof.text())
    assert read == proof
    assert read.verify(merkle.leaf_hash(history.entries[index]), policy).checkpoint == tree


words = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Z"), exclude_characters="+"), min_size=1, max_size=12
)
lines = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(lines, min_size=1, max_size=4), st.lists(words, min_size=1, max_size=4, unique=True))
def test_notes_are_split_and_joined_exactly(text: list[str], names: list[str]) -> None:
    body = "\n".join(text) + "\n"
    keys = [SigningKey.generate(name, bytes([n]) * 32) for n, name in enumerate(names)]
    note = join_note(body, [key.sign_text(body) for key in keys])
    read, signatures = split_note(note)
    assert (read, [one.name for one in signatures]) == (body, names)
    assert join_note(read, signatures) == note
    assert [one.name for one in open_note(note, [key.verifier() for key in keys]).signatures] == names
