"""Writes the vectors of this folder: run `python conformance/make.py`, the same bytes come out each time."""

import hashlib
import json
from pathlib import Path
from typing import Any

from lightwell.wire import (
    base64_strict,
    canonical,
    checkpoint,
    commitment,
    entries,
    merkle,
    receipt,
    tiles,
    witnessing,
)
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.edge import Edge
from lightwell.wire.note import COSIGNATURE, SigningKey, sign_note

HERE = Path(__file__).parent
# Keys of these vectors only: their seeds are published here and sign nothing else.
LOG = SigningKey.generate("lightwell/us", hashlib.sha256(b"conformance log").digest())
WITNESS = SigningKey.generate(
    "witness.example/w1", hashlib.sha256(b"conformance witness").digest(), COSIGNATURE
)
DIGEST = hashlib.sha256(b"conformance").hexdigest()
AT = 1_700_000_040


def canonical_vectors() -> dict[str, Any]:
    """Values with their canonical bytes, and bytes that a reader refuses."""
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        2**53 - 1,
        "",
        'é"\\/\b\t\n\f\r\u0000\u001f\u007f\u2028',
        [],
        {},
        [1, [2, {"b": 1, "a": None}]],
        {"\ufb33": 1, "\U0001f600": 2, "a": 3, "A": 4},
    ]
    refused = [
        "",
        " 1",
        "01",
        "-0",
        "1.0",
        "1e2",
        "9007199254740992",
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        '"\\u0041"',
    ]
    return {
        "valid": [
            {"value": value, "hex": canonical.encode(value).hex(), "sha256": canonical.digest(value)}
            for value in values
        ],
        "refused": [{"hex": text.encode().hex(), "text": text} for text in refused],
    }


def sample_entries() -> list[entries.Entry]:
    """One entry of each kind."""
    request, transfer, order = "00000000000000aa", "00000000000000bb", "00000000000000cc"
    minute = entries.minute(AT)
    fields = ["user.contact.email", "user.contact.phone_number"]
    return [
        entries.AgreementAdopted(
            at=AT, agreement="us-2022-draft", version=1, digest=DIGEST, roster_digest=DIGEST
        ),
        entries.PolicyAdopted(at=AT, digest=DIGEST, approvals=2),
        entries.SnapshotPublished(
            at=AT, snapshot=DIGEST, events=DIGEST, settings=DIGEST, code=DIGEST, videos=60
        ),
        entries.VideoPublished(at=minute, commitment=DIGEST),
        entries.SlateServed(at=minute, commitment=DIGEST, snapshot=DIGEST, policy=DIGEST),
        entries.AccessRequested(
            at=minute, request=request, place="sg", role="analyst", fields=fields, purpose="support"
        ),
        entries.AccessDecided(
            at=minute,
            request=request,
            outcome="refused",
            reason="outside-region",
            place="sg",
            role="analyst",
            approvals=0,
            expires_at=0,
        ),
        entries.AccessUsed(at=minute, request=request, fields=fields[:1]),
        entries.AccessEnded(at=minute, request=request, why="expired"),
        entries.RecordsOpened(at=minute, by="cleanroom-us", reason="replay", count=100),
        entries.TransferSent(
            at=AT, transfer=transfer, flow="public-video", peer="sg", digest=DIGEST, size=1_234_567
        ),
        entries.TransferReceived(
            at=AT, transfer=transfer, flow="public-video", peer="us", digest=DIGEST, size=1_234_567
        ),
        entries.TransferRefused(at=AT, transfer=transfer, flow="none", peer="sg", reason="no-such-flow"),
        entries.ConnectionRefused(at=AT, process="web", reason="not-on-the-list"),
        entries.OrderTaken(
            at=AT, order=order, verb="suspend", scope="uploads", digest=DIGEST, signer="authority.example"
        ),
        entries.OrderRefused(at=AT, digest=DIGEST, reason="bad-signature"),
        entries.OrderEffective(at=AT, order=order, process="web"),
    ]


def entry_vectors() -> dict[str, Any]:
    """Each kind's canonical text and leaf hash, one unknown kind, and texts that are no entry."""
    found = [entries.encode(entry) for entry in sample_entries()]
    unknown = canonical.encode({"kind": "MadeLater", "v": 1, "anything": [1, 2]})
    wrong = plain(sample_entries()[4])
    refused: list[Any] = [[], {}, {"kind": "SlateServed"}, wrong | {"at": AT + 1}, wrong | {"viewer": "x"}]
    return {
        "valid": [{"text": data.decode(), "leaf_hash": merkle.leaf_hash(data).hex()} for data in found],
        "unknown": [{"text": unknown.decode(), "leaf_hash": merkle.leaf_hash(unknown).hex()}],
        "refused": [{"text": canonical.encode(value).decode()} for value in refused],
    }


def plain(entry: entries.Entry) -> dict[str, Any]:
    """Return an entry's fields as a plain object."""
    fields = canonical.decode(entries.encode(entry))
    assert isinstance(fields, dict)  # noqa: S101  an entry is an object
    return dict(fields)


def note_vectors() -> dict[str, Any]:
    """Notes, a cosigned checkpoint, an add-checkpoint request; and altered ones that do not open."""
    tree = Checkpoint("lightwell/us", 3, merkle.root([merkle.leaf_hash(bytes([n])) for n in range(3)]))
    signed = checkpoint.sign(tree, LOG)
    cosigned = signed + WITNESS.cosign(tree.text(), AT).line()
    vkeys = {"log": LOG.verifier().vkey(), "witness": WITNESS.verifier().vkey()}
    return {
        "vkeys": vkeys,
        "notes": [
            {"note": sign_note("One line.\n\nAnother, with é.\n", LOG), "signed_by": ["log"]},
            {"note": signed, "signed_by": ["log"]},
            {"note": cosigned, "signed_by": ["log", "witness"], "cosigned_at": AT},
        ],
        "refused": [
            {"note": signed.replace("\n3\n", "\n4\n"), "why": "text altered"},
            {"note": cosigned.replace("\n3\n", "\n4\n"), "why": "text altered"},
            {"note": signed.replace("lightwell/us\n", "lightwell/sg\n", 1), "why": "origin altered"},
            {"note": signed[:-2] + "\n", "why": "signature cut"},
            {"note": tree.text(), "why": "no signature"},
        ],
        "add_checkpoint": witnessing.encode_request(2, [merkle.leaf_hash(b"\x02")], signed).decode(),
    }


def commitment_vectors() -> dict[str, Any]:
    """The slate commitment as a page checks it."""
    inputs, slate = b'{"inputs":1}', b'{"items":[{"score":7,"source":"fresh","video":"00000000000000dd"}]}'
    digests = [hashlib.sha256(inputs).digest(), hashlib.sha256(slate).digest()]
    opening = hashlib.sha256(b"conformance opening").digest()[:16]
    return {
        "valid": [
            {
                "kind": "slate",
                "opening": opening.hex(),
                "contents": [inputs.decode(), slate.decode()],
                "digests": [digest.hex() for digest in digests],
                "commitment": commitment.commit("slate", opening, *digests).hex(),
            }
        ]
    }


def receipt_vectors() -> dict[str, Any]:
    """Promises, and altered ones."""
    leaf = merkle.leaf_hash(entries.encode(sample_entries()[4]))
    promise = receipt.make_promise(LOG, "lightwell/us", leaf, AT + 10)
    return {
        "vkey": LOG.verifier().vkey(),
        "valid": [
            {"promise": promise, "origin": "lightwell/us", "leaf_hash": leaf.hex(), "by": AT + 10},
        ],
        "refused": [
            {"promise": promise.replace(str(AT + 10), str(AT + 11)), "why": "time altered"},
            {"promise": promise.replace("promise/v1", "promise/v2"), "why": "another form"},
        ],
    }


def log_vectors() -> dict[str, Any]:
    """A log of 300 small entries: some of its files, proofs in it, and altered proofs."""
    data = [f"entry {n}".encode() for n in range(300)]
    hashes = [merkle.leaf_hash(entry) for entry in data]
    edge = Edge()
    files = edge.append(data, hashes)

    def read(level: int, index: int, width: int) -> bytes:
        return files[tiles.tile_path(level, index, width)]

    root = base64_strict.encode(edge.root())
    inclusion = []
    for index in (0, 1, 255, 256, 298, 299):
        proof = tiles.inclusion_proof(read, index, 300)
        row = {
            "leafIdx": index,
            "treeSize": 300,
            "root": root,
            "leafHash": base64_strict.encode(hashes[index]),
            "proof": [base64_strict.encode(step) for step in proof],
        }
        inclusion += [
            {**row, "desc": "as built", "wantErr": False},
            {**row, "leafIdx": index ^ 1, "desc": "another place", "wantErr": True},
            {**row, "proof": row["proof"][:-1], "desc": "shortened", "wantErr": True},
        ]
    consistency = []
    for size in (1, 2, 255, 256, 257, 299, 300):
        proof = tiles.consistency_proof(read, size, 300)
        row = {
            "size1": size,
            "size2": 300,
            "root1": base64_strict.encode(merkle.root(hashes[:size])),
            "root2": root,
            "proof": [base64_strict.encode(step) for step in proof],
        }
        swapped = {**row, "root1": row["root2"], "root2": row["root1"]}
        consistency.append({**row, "desc": "as built", "wantErr": False})
        if size != 300:
            consistency.append({**swapped, "desc": "roots swapped", "wantErr": True})
    paths = [(0, 0, 256), (0, 1, 44), (1, 1234067, 256), (63, 999, 1)]
    return {
        "entries": "entry 0 .. entry 299, as UTF-8",
        "root": root,
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())},
        "paths": [
            {"level": level, "index": index, "width": width, "path": tiles.tile_path(level, index, width)}
            for level, index, width in paths
        ],
        "bundle": {
            "entries": ["a", "é", ""],
            "hex": tiles.encode_bundle([b"a", "é".encode(), b""]).hex(),
        },
        "inclusion": inclusion,
        "consistency": consistency,
    }


VECTORS = {
    "canonical.json": canonical_vectors,
    "entries.json": entry_vectors,
    "notes.json": note_vectors,
    "commitments.json": commitment_vectors,
    "receipts.json": receipt_vectors,
    "log.json": log_vectors,
}


def render(name: str) -> str:
    """Return the text of one vector file."""
    return json.dumps(VECTORS[name](), indent=1, ensure_ascii=True, sort_keys=False) + "\n"


if __name__ == "__main__":
    for file_name in VECTORS:
        (HERE / file_name).write_text(render(file_name), "ascii")
