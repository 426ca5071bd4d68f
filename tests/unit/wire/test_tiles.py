"""Tiles: paths and bytes as C2SP tlog-tiles has them, proofs read from them in few reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire import merkle, tiles
from lightwell.wire.audit import PROBLEM_LIMIT, audit
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.edge import Edge
from lightwell.wire.tiles import TileError


def build(size: int, steps: list[int] | None = None) -> tuple[dict[str, bytes], list[bytes], Edge]:
    """A log of `size` entries as files, written in steps as a sequencer would."""
    data = [f"entry {n}".encode() for n in range(size)]
    hashes = [merkle.leaf_hash(entry) for entry in data]
    edge, files, at = Edge(), {}, 0
    for step in [*(steps or []), size]:
        end = min(at + step, size)
        files |= edge.append(data[at:end], hashes[at:end])
        at = end
    wanted = set(tiles.paths(size))
    return {path: files[path] for path in files if path in wanted}, hashes, edge


FILES, HASHES, EDGE = build(70_000, [1, 255, 256, 700])
CHECKPOINT = Checkpoint("o", 70_000, EDGE.root())


def read_tile(level: int, index: int, width: int) -> bytes:
    return FILES[tiles.tile_path(level, index, width)]


def test_paths_are_those_of_the_specification() -> None:
    assert tiles.tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.tile_path(63, 0, 1) == "tile/63/000.p/1"
    assert tiles.bundle_path(1000, 255) == "tile/entries/x001/000.p/255"


def test_the_specification_example_of_70000_entries() -> None:
    names = tiles.paths(70_000)
    assert sum(name.startswith("tile/0/") and ".p/" not in name for name in names) == 273
    assert "tile/0/273.p/112" in names
    assert {"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} <= set(names)
    assert tiles.paths(256) == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert tiles.paths(0) == []
    assert set(FILES) == set(names)


@given(st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_paths_are_read_back(level: int, index: int, width: int) -> None:
    assert tiles.parse_path(tiles.tile_path(level, index, width)) == (level, index, width)
    assert tiles.parse_path(tiles.bundle_path(index, width)) == (None, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x1/002",
        "tile/0/../../checkpoint",
        "tile/entries/+01",
        "tile/0/٠٠٠",
        "checkpoint",
        "tile/0/" + "x001/" * 50 + "001",
        "tile/0/000/",
        "/tile/0/000",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(TileError):
        tiles.parse_path(path)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_are_read_back(entries: list[bytes]) -> None:
    assert tiles.decode_bundle(tiles.encode_bundle(entries), len(entries)) == entries


def test_bundles_have_big_endian_lengths_and_a_limit() -> None:
    assert tiles.encode_bundle([b"a", b"x" * 258])[:5] == b"\0\1a\1\2"
    assert len(tiles.encode_bundle([b"x" * 65_535])) == 65_537
    for wrong in ([], [b""] * 257, [b"x" * 65_536]):
        with pytest.raises(TileError):
            tiles.encode_bundle(wrong)
    for data, width in ((b"", 1), (b"\0", 1), (b"\0\2a", 1), (b"\0\1a", 2), (b"\0\1a\0\1a", 1)):
        with pytest.raises(TileError):
            tiles.decode_bundle(data, width)


@given(st.lists(st.integers(0, 400), max_size=6), st.integers(0, 1200))
def test_a_tree_is_the_same_however_it_grew(steps: list[int], size: int) -> None:
    files, hashes, edge = build(size, steps)
    assert edge.root() == merkle.root(hashes)
    assert set(files) == set(tiles.paths(size))
    assert Edge.load(files.__getitem__, size) == edge
    assert audit(files.get, Checkpoint("o", size, edge.root())) == []


@given(st.integers(0, 69_999), st.integers(1, 70_000))
def test_proofs_from_tiles_verify(index: int, size: int) -> None:
    size = max(index + 1, size)
    # A tree of a smaller size is read from the full and partial tiles of the larger one.
    read = lambda level, tile, _: FILES[tiles.tile_path(level, tile, tiles.width_at(level, tile, 70_000))]  # noqa: E731
    widened = lambda level, tile, width: read(level, tile, width)[: width * 32]  # noqa: E731
    root = tiles.root(widened, size)
    merkle.verify_inclusion(HASHES[index], index, size, tiles.inclusion_proof(widened, index, size), root)
    proof = tiles.consistency_proof(read_tile, size, 70_000)
    merkle.verify_consistency(size, root, 70_000, CHECKPOINT.root, proof)


def test_a_proof_costs_few_reads() -> None:
    reads: list[tuple[int, int, int]] = []

    def counted(level: int, index: int, width: int) -> bytes:
        reads.append((level, index, width))
        return read_tile(level, index, width)

    tiles.inclusion_proof(counted, 12_345, 70_000)
    assert len(reads) == len(set(reads)) <= 6


def test_tiles_of_a_wrong_length_are_refused() -> None:
    for data in (b"", bytes(31), bytes(33), bytes(32 * 257)):
        with pytest.raises(TileError):
            tiles.split_hashes(data, 1)
    with pytest.raises(TileError):
        tiles.inclusion_proof(lambda *_: bytes(32), 3, 70_000)


def test_an_edge_whose_bundle_and_tile_differ_is_refused() -> None:
    files, _, _ = build(300)
    files["tile/entries/001.p/44"] = files["tile/entries/001.p/44"].replace(b"299", b"298")
    with pytest.raises(TileError):
        Edge.load(files.__getitem__, 300)


SMALL, _, SMALL_EDGE = build(600, [100])


@given(st.sampled_from(sorted(SMALL)), st.data())
def test_an_audit_names_the_file_with_a_flipped_bit(path: str, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(SMALL[path]) * 8 - 1))
    changed = bytearray(SMALL[path])
    changed[bit // 8] ^= 1 << bit % 8
    found = audit((SMALL | {path: bytes(changed)}).get, Checkpoint("o", 600, SMALL_EDGE.root()))
    named = {line.partition(":")[0] for line in found}
    # An entry that changed its text is seen by its hash, at the leaf tile above it.
    assert path in named or path.replace("entries", "0") in named


def test_an_audit_names_a_missing_file_and_goes_on() -> None:
    for path in SMALL:
        rest = {name: data for name, data in SMALL.items() if name != path}
        assert audit(rest.get, Checkpoint("o", 600, SMALL_EDGE.root())) == [f"{path}: missing"]


def test_an_audit_finds_another_root() -> None:
    assert "root" in audit(SMALL.get, Checkpoint("o", 600, bytes(32)))[0]
    assert audit(SMALL.get, Checkpoint("o", 512, SMALL_EDGE.root())) != []


def test_an_audit_tells_each_entry_once_in_order() -> None:
    seen: list[tuple[int, bytes]] = []
    audit(SMALL.get, Checkpoint("o", 600, SMALL_EDGE.root()), lambda index, data: seen.append((index, data)))
    assert seen == [(n, f"entry {n}".encode()) for n in range(600)]


def test_a_partial_file_may_be_replaced_by_the_full_one() -> None:
    at_300 = build(300)[2].root()
    assert audit(SMALL.get, Checkpoint("o", 300, at_300)) == ["tile/1/000.p/1: missing"]


def test_an_audit_of_a_size_that_nobody_could_keep_ends() -> None:
    # A log may sign any size it likes; whoever checks it must not be kept busy for ever.
    found = audit(lambda _: None, Checkpoint("o", 2**62, bytes(32)))
    assert PROBLEM_LIMIT <= len(found) <= PROBLEM_LIMIT + 3
    assert "stopped at entry" in found[-1]
