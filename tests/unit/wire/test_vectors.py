"""Every vector is agreed with: those of `conformance/`, and those of the folder in LIGHTWELL_VECTORS."""

import base64
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightwell.wire import (
    canonical,
    commitment,
    entries,
    merkle,
    receipt,
    tiles,
    tlog_proof,
    trust,
    witnessing,
)
from lightwell.wire.canonical import CanonicalError
from lightwell.wire.cosigned import checkpoint_message, subtree_message
from lightwell.wire.edge import Edge
from lightwell.wire.entries import EntryError, UnknownEntry
from lightwell.wire.keys import MLDSA_COSIGNATURE, NoteError, SigningKey, Verifier
from lightwell.wire.merkle import ProofError
from lightwell.wire.note import open_note
from lightwell.wire.promise import Promise, PromiseError, open_promise
from lightwell.wire.receipt import ReceiptError
from lightwell.wire.tlog_proof import TlogProofError
from lightwell.wire.trust import TrustError

FOLDER = Path(__file__).parents[3] / "conformance"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("ascii"))


def maker() -> Any:
    spec = importlib.util.spec_from_file_location("conformance_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_what_our_code_makes() -> None:
    made = maker()
    assert {path.name for path in FOLDER.glob("*.json")} == set(made.VECTORS)
    for name in made.VECTORS:
        assert (FOLDER / name).read_text("ascii") == made.render(name), f"run conformance/make.py for {name}"


def test_canonical_vectors() -> None:
    found = load("canonical.json")
    for case in found["valid"]:
        data = bytes.fromhex(case["hex"])
        assert canonical.encode(case["value"]) == data
        assert canonical.decode(data) == case["value"]
        assert canonical.digest(case["value"]) == case["sha256"]
    for case in found["refused"]:
        with pytest.raises(CanonicalError):
            canonical.decode(bytes.fromhex(case["hex"]))


def test_entry_vectors() -> None:
    found = load("entries.json")
    kinds = set()
    for case in found["valid"]:
        entry = entries.decode(case["text"].encode())
        assert not isinstance(entry, UnknownEntry)
        kinds.add(type(entry).__name__)
        assert entries.encode(entry) == case["text"].encode()
        assert merkle.leaf_hash(case["text"].encode()).hex() == case["leaf_hash"]
    assert kinds == set(entries.KINDS)
    for case in found["unknown"]:
        assert isinstance(entries.decode(case["text"].encode()), UnknownEntry)
    for case in found["refused"]:
        with pytest.raises(EntryError):
            entries.decode(case["text"].encode())


def test_note_vectors() -> None:
    found = load("notes.json")
    verifiers = {name: Verifier.from_vkey(vkey) for name, vkey in found["vkeys"].items()}
    for case in found["notes"]:
        opened = open_note(case["note"], list(verifiers.values()))
        assert [s.verifier for s in opened.signatures] == [verifiers[name] for name in case["signed_by"]]
        if "cosigned_at" in case:
            assert opened.signatures[-1].timestamp == case["cosigned_at"]
    for case in found["refused"]:
        with pytest.raises(NoteError):
            open_note(case["note"], list(verifiers.values()))
    request = witnessing.parse_request(found["add_checkpoint"].encode())
    assert (request.old_size, len(request.proof)) == (2, 1)


def test_commitment_vectors() -> None:
    for case in load("commitments.json")["valid"]:
        digests = [hashlib.sha256(text.encode()).digest() for text in case["contents"]]
        assert [digest.hex() for digest in digests] == case["digests"]
        made = bytes.fromhex(case["commitment"])
        assert commitment.opens(made, case["kind"], bytes.fromhex(case["opening"]), *digests)


def test_receipt_vectors() -> None:
    found = load("receipts.json")
    verifier = Verifier.from_vkey(found["vkey"])
    for case in found["valid"]:
        expected = Promise(verifier.name, bytes.fromhex(case["leaf_hash"]), found["by"])
        assert open_promise(case["promise"], verifier) == expected
    for case in found["refused"]:
        with pytest.raises(PromiseError):
            open_promise(case["promise"], verifier)


def test_cosignature_vectors() -> None:
    found = load("cosignatures.json")
    verifiers = {name: Verifier.from_vkey(vkey) for name, vkey in found["vkeys"].items()}
    w6 = SigningKey.generate(verifiers["w6"].name, bytes.fromhex(found["seeds"]["w6"]), MLDSA_COSIGNATURE)
    assert w6.verifier() == verifiers["w6"]
    text, at = found["checkpoint"], found["cosigned_at"]
    assert checkpoint_message(text, at).hex() == found["messages"]["w1"]
    assert subtree_message(verifiers["w6"].name, text, at).hex() == found["messages"]["w6"]
    for case in found["valid"]:
        opened = open_note(case["note"], list(verifiers.values()))
        assert [s.verifier for s in opened.signatures] == [verifiers[name] for name in case["signed_by"]]
        assert {s.timestamp for s in opened.signatures} <= {None, at}
    for case in found["refused"]:
        with pytest.raises(NoteError):
            open_note(case["note"], list(verifiers.values()))


def test_policy_vectors() -> None:
    found = load("policies.json")
    for case in found["valid"]:
        data = bytes.fromhex(case["hex"]) if "hex" in case else case["policy"].encode()
        policy = trust.parse(data)
        assert trust.parse(policy.encode()) == policy
        assert all(policy.satisfied(names) for names in case.get("satisfied", []))
        assert not any(policy.satisfied(names) for names in case.get("unsatisfied", []))
    for case in found["refused"]:
        with pytest.raises(TrustError):
            trust.parse(case["policy"].encode())


def test_proof_vectors() -> None:
    found = load("proofs.json")
    policy = trust.parse(found["policy"].encode())
    both = trust.parse(found["policy_of_both_types"].encode())
    for judge, cases in ((policy, found["valid"]), (both, found["valid_of_both_types"])):
        for case in cases:
            proof = tlog_proof.parse(case["proof"])
            assert proof.index == case["index"]
            assert proof.text() == case["proof"]
            proof.verify(merkle.leaf_hash(case["entry"].encode()), judge)
    for case in found["refused"]:
        with pytest.raises(TlogProofError):
            tlog_proof.parse(case["proof"]).verify(merkle.leaf_hash(case["entry"].encode()), policy)
    with pytest.raises(TlogProofError):
        tlog_proof.parse(found["valid"][0]["proof"]).verify(bytes(32), both)


def test_viewers_receipt_vectors() -> None:
    found = load("proofs.json")
    policy = trust.parse(found["policy"].encode())
    for case in found["valid_receipts"]:
        one = receipt.parse(case["receipt"])
        assert one.text() == case["receipt"]
        assert (one.opening is not None) == case["opens"]
        one.verify(policy)
    for case in found["refused_receipts"]:
        with pytest.raises(ReceiptError):
            receipt.parse(case["receipt"]).verify(policy)


def test_log_vectors() -> None:
    found = load("log.json")
    data = [f"entry {n}".encode() for n in range(300)]
    edge = Edge()
    files = edge.append(data, [merkle.leaf_hash(entry) for entry in data])
    assert {path: hashlib.sha256(content).hexdigest() for path, content in files.items()} == found["files"]
    assert base64.b64encode(edge.root()).decode() == found["root"]
    for case in found["paths"]:
        assert tiles.parse_path(case["path"]) == (case["level"], case["index"], case["width"])
    bundle = found["bundle"]
    entry_bytes = [entry.encode() for entry in bundle["entries"]]
    assert tiles.decode_bundle(bytes.fromhex(bundle["hex"]), 3) == entry_bytes
    for kind in ("inclusion", "consistency"):
        for case in found[kind]:
            assert agrees(kind, case), case


def unpack(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def agrees(kind: str, case: dict[str, Any]) -> bool:
    """Say whether our verifier accepts a case exactly if it should."""
    proof = [unpack(step) for step in case["proof"] or []]

    def root(name: str) -> bytes:
        return unpack(case[name])

    checks: dict[str, Callable[[], None]] = {
        "inclusion": lambda: merkle.verify_inclusion(
            root("leafHash"), case["leafIdx"], case["treeSize"], proof, root("root")
        ),
        "consistency": lambda: merkle.verify_consistency(
            case["size1"], root("root1"), case["size2"], root("root2"), proof
        ),
        "subtreeinclusion": lambda: merkle.verify_subtree_inclusion(
            root("leafHash"), case["leafIdx"], case["start"], case["end"], proof, root("root")
        ),
        "subtreeconsistency": lambda: merkle.verify_subtree_consistency(
            case["start"], case["end"], root("root1"), case["size"], root("root2"), proof
        ),
    }
    try:
        checks[kind]()
    except ProofError:
        return bool(case["wantErr"])
    return not case["wantErr"]


@pytest.mark.skipif("LIGHTWELL_VECTORS" not in os.environ, reason="LIGHTWELL_VECTORS names no folder")
def test_every_vector_of_the_named_folder() -> None:
    folder = Path(os.environ["LIGHTWELL_VECTORS"])
    folder = folder / "merkle" if (folder / "merkle").is_dir() else folder
    files = sorted(folder.rglob("*.json"))
    assert files, f"no vectors in {folder}"
    wrong = []
    for path in files:
        kind = path.relative_to(folder).parts[0]
        if not agrees(kind, json.loads(path.read_text())):
            wrong.append(str(path.relative_to(folder)))
    assert wrong == []
