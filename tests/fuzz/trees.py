"""Fuzz targets of trees: tiles, bundles, their paths, a ledger's files, and proofs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from lightwell.wire import merkle, tiles
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.edge import Edge
from lightwell.wire.merkle import ProofError
from lightwell.wire.tiles import TileError
from tests.fuzz.registry import as_text, target


@target("tile/0/x001/x234/067.p/5", "tile/entries/000", "tile/63/999.p/255")
def tile_path(data: bytes) -> None:
    """A path has one text."""
    with suppress(TileError):
        level, index, width = tiles.parse_path(as_text(data))
        path = tiles.bundle_path(index, width) if level is None else tiles.tile_path(level, index, width)
        assert path == as_text(data)


@target(tiles.encode_bundle([b"a", b"", b"entry"]), tiles.encode_bundle([bytes(300)] * 2))
def bundle(data: bytes) -> None:
    """A bundle has one sequence of bytes, for each number of entries."""
    for width in (1, 2, 3, 256):
        with suppress(TileError):
            assert tiles.encode_bundle(tiles.decode_bundle(data, width)) == data


@target(b"\x01" + bytes(32), b"\x02" + bytes(range(64)), b"\x01" + bytes(96))
def tile_split(data: bytes) -> None:
    """A tile's hashes are the first ones in it."""
    width = data[0] if data else 0
    with suppress(TileError):
        found = tiles.split_hashes(data[1:], width)
        assert len(found) == width
        assert data[1:].startswith(b"".join(found))


ENTRY_BYTES = [f"{n}".encode() for n in range(300)]
LEAF_HASHES = [merkle.leaf_hash(one) for one in ENTRY_BYTES]
HONEST = Edge()
FILES = HONEST.append(ENTRY_BYTES, LEAF_HASHES)
PATHS = tiles.paths(300)
NODE = merkle.in_memory(LEAF_HASHES)
ROOTS = [merkle.EMPTY_ROOT, *(merkle.range_root(NODE, 0, size) for size in range(1, 301))]
SIZES = [0, 1, 2, 255, 256, 257, 300]


def altered_files(data: bytes) -> dict[str, bytes]:
    """Return the honest log's files with the changes that `data` says: a byte, a cut, a file as a whole."""
    files = dict(FILES)
    steps, whole = data[:32], data[32:]
    for at in range(0, len(steps) - 4, 5):
        path = PATHS[steps[at] % len(PATHS)]
        if path not in files:
            continue
        place = int.from_bytes(steps[at + 1 : at + 3], "big")
        match steps[at + 3] % 8:
            case 0:
                files.pop(path)
            case 1:
                files[path] = files[path][:place]
            case 2:
                files[path] = whole
            case 3 if place < len(files[path]):
                changed = bytearray(files[path])
                changed[place] ^= steps[at + 4]
                files[path] = bytes(changed)
    return files


@target(b"\x06" + bytes(40), b"\x06\x01\x00\x05\x03\x01", b"\x03\x00\x00\x00\x02\x00" + bytes(80), share=4)
def edge_files(data: bytes) -> None:
    """A writer's edge is read from files as they should be, or refused; never from others."""
    size = SIZES[data[0] % len(SIZES)] if data else 0
    files = altered_files(data[1:])
    with suppress(TileError, KeyError):
        edge = Edge.load(files.__getitem__, size)
        assert edge.size == size
        if len(edge.entries) == size:
            assert edge.root() == merkle.root([merkle.leaf_hash(one) for one in edge.entries])


@target(b"\x06" + bytes(40), b"\x06\x01\x00\x05\x03\x01", b"\x06\x00\x00\x00\x02\x00" + bytes(80), share=1)
def audited_files(data: bytes) -> None:
    """An audit passes no file that is not the honest one."""
    size = SIZES[data[0] % len(SIZES)] if data else 0
    files = altered_files(data[1:])
    problems = audit(files.get, Checkpoint("o", size, ROOTS[size]))
    assert bool(problems) == (files != FILES) or size != 300


@target(b"\x06" + bytes(40), b"\x06\x01\x00\x05\x03\x01", share=3)
def tiles_read(data: bytes) -> None:
    """A proof is made from any tiles or refused; what other tiles than the honest ones give shows nothing."""
    index = int.from_bytes(data[:2], "big") % 300
    files = altered_files(data[2:])
    with suppress(TileError, KeyError):
        read = lambda level, tile, width: files[tiles.tile_path(level, tile, width)]  # noqa: E731
        steps = tiles.inclusion_proof(read, index, 300)
        with suppress(ProofError):
            merkle.verify_inclusion(LEAF_HASHES[index], index, 300, steps, ROOTS[300])
            assert steps == merkle.inclusion_proof(NODE, index, 300)


def proof_bytes(numbers: Iterable[int], hashes: Iterable[bytes]) -> bytes:
    """Return the input of the proof targets: three numbers of 8 bytes, then hashes."""
    return b"".join(number.to_bytes(8, "big") for number in numbers) + b"".join(hashes)


def read_proof(data: bytes) -> tuple[list[int], list[bytes]]:
    """Return the numbers and the hashes of such an input; the last hash may be short."""
    numbers = [int.from_bytes(data[at : at + 8], "big", signed=True) for at in (0, 8, 16)]
    return numbers, [data[at : at + 32] for at in range(24, len(data), 32)]


@target(
    *(
        proof_bytes(
            (index, size, 0), [LEAF_HASHES[index], ROOTS[size], *merkle.inclusion_proof(NODE, index, size)]
        )
        for index, size in ((0, 1), (0, 2), (6, 7), (255, 300), (299, 300))
    ),
    share=20,
)
def inclusion(data: bytes) -> None:
    """A proof of inclusion in a tree with an honest root shows an honest leaf in its own place."""
    (index, size, _), hashes = read_proof(data)
    leaf, root, *steps = [*hashes, b"", b""][: max(len(hashes), 2)]
    with suppress(ProofError):
        merkle.verify_inclusion(leaf, index, size, steps, root)
        if root in ROOTS and size == ROOTS.index(root):
            assert leaf == LEAF_HASHES[index]


@target(
    *(
        proof_bytes((0, old, size), [ROOTS[old], ROOTS[size], *merkle.consistency_proof(NODE, old, size)])
        for old, size in ((1, 2), (3, 7), (8, 8), (255, 300), (256, 300))
    ),
    share=20,
)
def consistency(data: bytes) -> None:
    """A proof of consistency with an honest root shows an honest older root, for whole trees and subtrees."""
    (start, old, size), hashes = read_proof(data)
    root1, root2, *steps = [*hashes, b"", b""][: max(len(hashes), 2)]
    with suppress(ProofError):
        merkle.verify_subtree_consistency(start, old, root1, size, root2, steps)
        if root2 in ROOTS and size == ROOTS.index(root2) and start < old:
            assert root1 == merkle.range_root(NODE, start, old)
    with suppress(ProofError):
        merkle.verify_consistency(old, root1, size, root2, steps)
        assert old > 0
