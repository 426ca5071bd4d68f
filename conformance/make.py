"""Writes the vectors of this folder: run `python conformance/make.py`, the same bytes come out each time."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from lightwell.wire import base64_strict, canonical, checkpoint, commitment, entries, merkle, tiles, trust
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.cosigned import checkpoint_message, subtree_message
from lightwell.wire.edge import Edge
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, Signature, SigningKey, Verifier
from lightwell.wire.note import parse_signatures, sign_note
from lightwell.wire.promise import make_promises
from lightwell.wire.receipt import Opening, Receipt
from lightwell.wire.tlog_proof import TlogProof
from lightwell.wire.witnessing import encode_request

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from sample_entries import AT, DIGEST, sample_entries  # noqa: E402  beside this file, however it is loaded

# Keys of these vectors only: their seeds are published here and sign nothing else.
LOG = SigningKey.generate("lightwell/us", hashlib.sha256(b"conformance log").digest())
WITNESS = SigningKey.generate(
    "witness.example/w1", hashlib.sha256(b"conformance witness").digest(), COSIGNATURE
)
MLDSA_WITNESS = SigningKey.generate(
    "witness.example/w6", hashlib.sha256(b"conformance ML-DSA witness").digest(), MLDSA_COSIGNATURE
)


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


def entry_vectors() -> dict[str, Any]:
    """Each kind's canonical text and leaf hash, one unknown kind, and texts that are no entry."""
    found = [entries.encode(entry) for entry in sample_entries()]
    unknown = canonical.encode({"kind": "MadeLater", "v": 1, "anything": [1, 2]})
    wrong = plain(sample_entries()[5])
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
        "add_checkpoint": encode_request(2, [merkle.leaf_hash(b"\x02")], signed).decode(),
    }


INPUTS = b'{"inputs":1}'
SLATE = b'{"items":[{"score":7,"source":"fresh","video":"00000000000000dd"}]}'
DIGESTS = (hashlib.sha256(INPUTS).digest(), hashlib.sha256(SLATE).digest())
OPENING = hashlib.sha256(b"conformance opening").digest()[:16]
COMMITMENT = commitment.commit("slate", OPENING, *DIGESTS).hex()


def commitment_vectors() -> dict[str, Any]:
    """The slate commitment as a page checks it."""
    return {
        "valid": [
            {
                "kind": "slate",
                "opening": OPENING.hex(),
                "contents": [INPUTS.decode(), SLATE.decode()],
                "digests": [digest.hex() for digest in DIGESTS],
                "commitment": COMMITMENT,
            }
        ]
    }


def slate_tree() -> tuple[list[bytes], Checkpoint]:
    """A log of 20 entries of which number 7 is a slate's with a commitment, and its checkpoint."""
    slate = entries.SlateServed(at=entries.minute(AT), commitment=COMMITMENT, snapshot=DIGEST, policy=DIGEST)
    data = [f"entry {n}".encode() for n in range(20)]
    data[7] = entries.encode(slate)
    return data, Checkpoint("lightwell/us", 20, merkle.root([merkle.leaf_hash(entry) for entry in data]))


def mldsa_line(text: str) -> str:
    """The one ML-DSA-44 cosignature of these vectors; made with randomness, so the one on file is kept."""
    path = HERE / "cosignatures.json"
    kept = json.loads(path.read_text("ascii"))["mldsa_line"] if path.exists() else ""
    verifier = MLDSA_WITNESS.verifier()
    if kept and verifier.verify_text(text, parse_signatures(kept)[0].signature):
        return str(kept)
    return MLDSA_WITNESS.cosign(text, AT).line()


def cosignature_vectors() -> dict[str, Any]:
    """Both types of cosignature: keys, the exact bytes signed, notes that open, and altered ones."""
    tree = slate_tree()[1]
    text, extended = tree.text(), tree.text() + "an extension line\n"
    ed25519, mldsa = WITNESS.cosign(text, AT), parse_signatures(mldsa_line(text))[0]
    renamed = Verifier("witness.example/w7", MLDSA_WITNESS.verifier().public_bytes, MLDSA_COSIGNATURE)
    vkeys = {
        "log": LOG.verifier().vkey(),
        "w1": WITNESS.verifier().vkey(),
        "w6": MLDSA_WITNESS.verifier().vkey(),
        "w7": renamed.vkey(),
    }

    def other_time(line: Signature) -> str:
        return Signature(line.name, line.key_id, (AT + 1).to_bytes(8, "big") + line.signature[8:]).line()

    signed, signed_extended = sign_note(text, LOG), sign_note(extended, LOG)
    return {
        "seeds": {"w6": hashlib.sha256(b"conformance ML-DSA witness").hexdigest()},
        "vkeys": vkeys,
        "cosigned_at": AT,
        "checkpoint": text,
        "messages": {
            "w1": checkpoint_message(text, AT).hex(),
            "w6": subtree_message(MLDSA_WITNESS.name, text, AT).hex(),
        },
        "mldsa_line": mldsa.line(),
        "valid": [
            {"note": signed + ed25519.line(), "signed_by": ["log", "w1"]},
            {"note": signed + mldsa.line(), "signed_by": ["log", "w6"]},
            {"note": f"{text}\n{mldsa.line()}", "signed_by": ["w6"]},
            # Type 0x06 does not sign extension lines: the same signature is good for the text with one.
            {"note": signed_extended + mldsa.line(), "signed_by": ["log", "w6"]},
        ],
        "refused": [
            {"note": signed_extended + ed25519.line(), "why": "type 0x04 signs extension lines"},
            {"note": signed + other_time(ed25519), "why": "time altered"},
            {"note": signed + other_time(mldsa), "why": "time altered"},
            {
                "note": signed + Signature(renamed.name, renamed.key_id, mldsa.signature).line(),
                "why": "type 0x06 signs the cosigner's name",
            },
        ],
    }


def policy_vectors() -> dict[str, Any]:
    """Trust policies with which witnesses satisfy them, and files that are none."""
    log, w1, w6 = (key.verifier().vkey() for key in (LOG, WITNESS, MLDSA_WITNESS))
    w2, w3 = (
        SigningKey.generate(f"witness.example/{n}", bytes([n]) * 32, COSIGNATURE).verifier().vkey()
        for n in (2, 3)
    )
    four = f"witness X1 {w1}\nwitness X2 {w2}\nwitness X3 {w3}\nwitness Y {w6}\n"
    cases: list[tuple[str, list[str], list[str]]] = [
        (f"log {log}\nquorum none\n", [""], []),
        (f"log {log} https://x.example/\nwitness X1 {w1}\nquorum X1\n", ["X1"], ["", "X2"]),
        (four + "group g any X1 X2\nquorum g\n", ["X1", "X2", "X1 X2"], ["", "X3 Y"]),
        (four + "group g 2 X1 X2 X3\nquorum g\n", ["X1 X3", "X1 X2 X3"], ["X1", "X1 Y"]),
        (
            four + "group x 2 X1 X2 X3\ngroup all all x Y\nquorum all\n",
            ["X1 X2 Y", "X1 X2 X3 Y"],
            ["X1 X2 X3", "X1 Y"],
        ),
        (f" # note\n\n\twitness\t \tKelvin\u212a {w1} \nquorum Kelvin\u212a", ["Kelvin\u212a"], [""]),
    ]
    refused = [
        ("", "no quorum"),
        (f"log {log}\n", "no quorum"),
        ("quorum none\nquorum none\n", "two quorums"),
        ("quorum X1\n", "not defined"),
        (f"quorum X1\nwitness X1 {w1}\n", "defined below"),
        (f"log {w1}\nquorum none\n", "a cosigner's key of type 0x04 as a log's"),
        (f"witness X1 {log}\nquorum X1\n", "a log's key as a witness's"),
        (f"witness X1 {w1}\nwitness X2 {w1}\nquorum none\n", "the same key twice"),
        (f"log {log}\nlog {log}\nquorum none\n", "the same key twice"),
        (f"witness none {w1}\nquorum none\n", "a reserved name"),
        (four + "group X1 any X2\nquorum none\n", "a name twice"),
        (four + "group g any none\nquorum g\n", "none is no member"),
        (four + "group g 0 X1\nquorum g\n", "a threshold of none"),
        (four + "group g 3 X1 X2\nquorum g\n", "a threshold over its members"),
        (four + "group g any\nquorum g\n", "no member"),
        (four + "group g any X1 X1\nquorum g\n", "a member twice"),
        (four + "group g any X1\ngroup h any X1\nquorum h\n", "a member of two groups"),
        (four + "group g any g\nquorum g\n", "a group in itself"),
        ("quorum none\r\n", "a control character"),
        ("quorum\u00a0none\n", "a space that is not ASCII"),
        ("Quorum none\n", "an unknown word"),
        (f"witness X1 {w1[:-4]}AAA=\nquorum X1\n", "a key id that is not the key's"),
    ]
    valid: list[dict[str, Any]] = [
        {
            "policy": text,
            "satisfied": [who.split() for who in yes],
            "unsatisfied": [who.split() for who in no],
        }
        for text, yes, no in cases
    ]
    octets = b"witness \xff\xfe " + w1.encode() + b"\nquorum \xff\xfe\n"
    return {
        "valid": [*valid, {"hex": octets.hex(), "why": "a name that is not UTF-8"}],
        "refused": [{"policy": text, "why": why} for text, why in refused],
    }


def proof_vectors() -> dict[str, Any]:
    """Offline proofs, with the trust policy that opens them, and altered ones."""
    data, tree = slate_tree()
    node = merkle.in_memory([merkle.leaf_hash(entry) for entry in data])
    note = checkpoint.sign(tree, LOG) + WITNESS.cosign(tree.text(), AT).line()
    policy = trust.of_keys(LOG.verifier(), [WITNESS.verifier()])
    both = trust.of_keys(LOG.verifier(), [WITNESS.verifier(), MLDSA_WITNESS.verifier()])

    def proof(index: int, extra: bytes | None = None, more: str = "") -> TlogProof:
        return TlogProof(index, tuple(merkle.inclusion_proof(node, index, 20)), note + more, extra)

    slate = Receipt(proof(7), data[7], Opening("slate", OPENING, DIGESTS, canonical.decode(SLATE)))
    plain_slate = Receipt(proof(7), data[7], Opening("slate", OPENING, DIGESTS))
    bare = Receipt(proof(7), data[7], None)
    openings = [
        (Opening("video", OPENING, DIGESTS), "another kind"),
        (Opening("slate", OPENING, DIGESTS[::-1]), "digests swapped"),
        (Opening("slate", OPENING, DIGESTS[:1]), "a digest left out"),
        (Opening("slate", bytes(16), DIGESTS), "another opening"),
        (Opening("slate", OPENING[:15], DIGESTS), "an opening that is too short"),
        (Opening("slate", OPENING, DIGESTS, {"items": []}), "content altered"),
    ]
    text = slate.text()
    lines = proof(7).text().split("\n")
    return {
        "policy": policy.text(),
        "policy_of_both_types": both.text(),
        "valid": [
            {"proof": proof(index, extra).text(), "entry": data[index].decode(), "index": index}
            for index, extra in ((0, None), (7, b""), (19, b"any bytes \xff"))
        ],
        "valid_of_both_types": [
            {"proof": proof(7, None, mldsa_line(tree.text())).text(), "entry": data[7].decode(), "index": 7}
        ],
        "refused": [
            {"proof": proof(6).text(), "entry": data[7].decode(), "why": "of another entry"},
            {
                "proof": proof(7).text().replace("index 7", "index 6"),
                "entry": data[7].decode(),
                "why": "index",
            },
            {
                "proof": proof(7).text().replace("index 7", "index 07"),
                "entry": data[7].decode(),
                "why": "zero",
            },
            {"proof": "\n".join(lines[:2] + lines[3:]), "entry": data[7].decode(), "why": "a hash left out"},
            {"proof": "\n".join(lines[:1] + lines[2:]), "entry": data[7].decode(), "why": "no index"},
            {"proof": proof(7).text().replace("\n20\n", "\n21\n"), "entry": data[7].decode(), "why": "size"},
            {"proof": text.partition("— witness")[0], "entry": data[7].decode(), "why": "no cosignature"},
        ],
        "valid_receipts": [
            {"receipt": one.text(), "opens": one.opening is not None} for one in (slate, plain_slate, bare)
        ],
        "refused_receipts": [
            *({"receipt": Receipt(proof(7), data[7], one).text(), "why": why} for one, why in openings),
            {"receipt": Receipt(proof(6), data[7], slate.opening).text(), "why": "proof of another entry"},
            {
                "receipt": Receipt(proof(8), data[8], slate.opening).text(),
                "why": "an entry without commitment",
            },
            {"receipt": proof(7).text(), "why": "no extra line"},
            {"receipt": proof(7, b"{}").text(), "why": "no entry"},
            {"receipt": proof(7, b'{"entry": "entry 7"}').text(), "why": "not canonical JSON"},
            {
                "receipt": proof(7, canonical.encode({"entry": data[7].decode(), "x": 1})).text(),
                "why": "more",
            },
        ],
    }


def receipt_vectors() -> dict[str, Any]:
    """Promises made in groups of several sizes, and altered ones."""
    leaves = [merkle.leaf_hash(f"entry {n}".encode()) for n in range(256)]
    made = {n: make_promises(LOG, "lightwell/us", leaves[:n], AT + 10) for n in (1, 2, 3, 5, 256)}
    picked = [(size, n) for size in made for n in range(size) if size < 6 or n in (0, 128, 255)]
    one, last, five = made[1][0], made[3][2], made[5][1]
    lines = five.splitlines(keepends=True)
    leaf, inner, root = map(base64_strict.encode, (leaves[0], merkle.root(leaves[:2]), merkle.root(leaves)))
    over = base64_strict.encode(merkle.node_hash(merkle.root(leaves), leaves[0]))

    def signed(size: str, root: str, time: str, version: int = 2) -> str:
        return sign_note(f"lightwell/promise/v{version}\nlightwell/us\n{size}\n{root}\n{time}\n", LOG)

    refused = {
        "time altered": five.replace(str(AT + 10), str(AT + 11)),
        "size altered": five.replace("\n5\n", "\n6\n"),
        "another entry": five.replace(lines[1], f"{leaf}\n"),
        "another place": five.replace("index 1", "index 0"),
        "a place outside the group": last.replace("index 2", "index 3"),
        "a place written otherwise": five.replace("index 1", "index 01"),
        "a hash too many": "".join(lines[:3] + lines[2:]),
        "a hash left out": "".join(lines[:3] + lines[4:]),
        "two entries' hash as an entry": "".join(["index 0\n", f"{inner}\n", *lines[3:]]),
        "no place in a group": five.partition("\n\n")[2],
        "a place in a group of one": f"index 0\n{leaf}\n\n{one}",
        "two signatures": one + one.splitlines(keepends=True)[-1],
        "another form, truly signed": signed("1", leaf, "1", 1),
        "no entries, truly signed": signed("0", leaf, "1"),
        "too many entries, truly signed": f"index 256\n{leaf}\n{root}\n\n{signed('257', over, '1')}",
        "a time that not every reader holds exactly, truly signed": signed("1", leaf, str(2**53)),
    }
    return {
        "vkey": LOG.verifier().vkey(),
        "by": AT + 10,
        "valid": [{"promise": made[size][n], "leaf_hash": leaves[n].hex()} for size, n in picked],
        "refused": [{"promise": text, "why": why} for why, text in refused.items()],
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
    "cosignatures.json": cosignature_vectors,
    "policies.json": policy_vectors,
    "proofs.json": proof_vectors,
    "log.json": log_vectors,
}


def render(name: str) -> str:
    """Return the text of one vector file."""
    return json.dumps(VECTORS[name](), indent=1, ensure_ascii=True, sort_keys=False) + "\n"


if __name__ == "__main__":
    for file_name in VECTORS:
        (HERE / file_name).write_text(render(file_name), "ascii")
