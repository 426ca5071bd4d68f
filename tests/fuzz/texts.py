"""Fuzz targets of texts: notes, keys, checkpoints, proofs, receipts, policies, promises, requests, JSON.

A target refuses its input with the parser's own declared error, or holds the parser to what it promises of
what it accepts: that its text is the one text of the value, that a signed thing is really the signed one.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

from lightwell.wire import (
    base64_strict,
    canonical,
    checkpoint,
    commitment,
    decimal_strict,
    entries,
    merkle,
    promise,
    receipt,
    signed_request,
    tlog_proof,
    trust,
    witnessing,
)
from lightwell.wire.canonical import CanonicalError
from lightwell.wire.checkpoint import CheckpointError
from lightwell.wire.entries import EntryError, UnknownEntry
from lightwell.wire.keys import COSIGNATURE, NoteError, SigningKey, Verifier
from lightwell.wire.note import join_note, open_note, parse_signatures, sign_note, split_note
from lightwell.wire.promise import PromiseError
from lightwell.wire.receipt import ReceiptError
from lightwell.wire.signed_request import RequestSignatureError
from lightwell.wire.tlog_proof import TlogProof, TlogProofError
from lightwell.wire.trust import TrustError
from lightwell.wire.witnessing import RequestError
from tests.fuzz.registry import as_text, joined, load, parts, target

LOG = SigningKey.generate("lightwell/us", hashlib.sha256(b"conformance log").digest())
NOTES, COSIGNED, PROOFS, POLICIES = map(
    load, ("notes.json", "cosignatures.json", "proofs.json", "policies.json")
)
VKEYS = tuple({**NOTES["vkeys"], **COSIGNED["vkeys"]}.values())
VERIFIERS = [Verifier.from_vkey(vkey) for vkey in VKEYS]
SIGNED_NOTES = [case["note"] for case in [*NOTES["notes"], *COSIGNED["valid"]]]
SIGNED_TEXTS = {split_note(note)[0] for note in SIGNED_NOTES}
POLICY = trust.parse(PROOFS["policy"].encode())


@target(*SIGNED_NOTES, *(case["note"] for case in NOTES["refused"]), share=20)
def note(data: bytes) -> None:
    """A note that opens is one that its keys signed; splitting and joining are exact inverses."""
    text = as_text(data)
    with suppress(NoteError):
        assert join_note(*split_note(text)) == text
    with suppress(NoteError):
        assert open_note(text, VERIFIERS).text in SIGNED_TEXTS


@target(*(case.partition("\n\n— ")[2].join(("— ", "")) for case in SIGNED_NOTES))
def signature_lines(data: bytes) -> None:
    """A line that is read is written again as it was."""
    with suppress(NoteError):
        assert "".join(one.line() for one in parse_signatures(as_text(data))) == as_text(data)


@target(*VKEYS)
def vkey(data: bytes) -> None:
    """A verifier key has one text."""
    with suppress(NoteError):
        assert Verifier.from_vkey(as_text(data)).vkey() == as_text(data)


@target(LOG.text(), SigningKey.generate("w", bytes(32), COSIGNATURE).text())
def private_key(data: bytes) -> None:
    """A private key has one text, space around it apart, and an error never tells it."""
    text = as_text(data)
    try:
        key = SigningKey.from_text(text)
    except NoteError as error:
        told = len(text) >= 20 and text[-20:] in str(error)
    else:
        told = key.text() != text.strip()
    assert not told


CHECKPOINT_TEXTS = [text for text in SIGNED_TEXTS if text.startswith("lightwell/")]


@target(*CHECKPOINT_TEXTS)
def checkpoint_text(data: bytes) -> None:
    """A checkpoint's text and value are exact inverses."""
    with suppress(CheckpointError):
        assert checkpoint.parse(as_text(data)).text() == as_text(data)


@target(*CHECKPOINT_TEXTS, share=2)
def signed_checkpoint(data: bytes) -> None:
    """Whatever text a log signs is a checkpoint or refused: code behind a signature is reached too."""
    text = as_text(data)
    with suppress(NoteError, CheckpointError):
        opened = checkpoint.open_checkpoint(sign_note(text, LOG), LOG.verifier(), origin=LOG.name)
        assert opened.checkpoint.text() == text


COSIGNED_TEXT: str = COSIGNED["checkpoint"]
COSIGNATURES = {line.name: line for line in split_note(COSIGNED["valid"][1]["note"])[1]}
COSIGNATURES |= {line.name: line for line in split_note(COSIGNED["valid"][0]["note"])[1]}


@target(*(bytes([n]) + line.signature for n in range(4) for line in COSIGNATURES.values()))
def signature(data: bytes) -> None:
    """Of all bytes only the signature that a key made is its signature, for each type of key."""
    if data:
        verifier = VERIFIERS[data[0] % len(VERIFIERS)]
        made = COSIGNATURES.get(verifier.name)
        accepted = verifier.verify_text(COSIGNED_TEXT, data[1:])
        assert not accepted or (made is not None and made.signature == data[1:])


@target(NOTES["add_checkpoint"])
def witness_request(data: bytes) -> None:
    """A request has one sequence of bytes."""
    with suppress(RequestError):
        read = witnessing.parse_request(data)
        assert witnessing.encode_request(read.old_size, read.proof, read.note) == data


TLOG_PROOFS = [
    case["proof"] for case in [*PROOFS["valid"], *PROOFS["refused"], *PROOFS["valid_of_both_types"]]
]
LEAVES = {case["proof"]: merkle.leaf_hash(case["entry"].encode()) for case in PROOFS["valid"]}
SLATE_LEAF = merkle.leaf_hash(PROOFS["valid"][1]["entry"].encode())


@target(*TLOG_PROOFS)
def proof_file(data: bytes) -> None:
    """A proof has one text, and shows the entry that it is of and no other."""
    text = as_text(data)
    with suppress(TlogProofError):
        read = tlog_proof.parse(text)
        assert read.text() == text
        read.verify(SLATE_LEAF, POLICY)
        assert read.index == 7


RECEIPTS = [case["receipt"] for case in [*PROOFS["valid_receipts"], *PROOFS["refused_receipts"]]]
OPENED = receipt.parse(RECEIPTS[0])


@target(*RECEIPTS)
def receipt_file(data: bytes) -> None:
    """A receipt has one text; if it holds, it is of the entry that is in the log."""
    text = as_text(data)
    with suppress(ReceiptError):
        read = receipt.parse(text)
        assert read.text() == text
        read.verify(POLICY)
        assert merkle.leaf_hash(read.entry) in (SLATE_LEAF, *LEAVES.values())


EXTRAS = [extra for text in RECEIPTS if (extra := tlog_proof.parse(text).extra)]


@target(*EXTRAS, share=4)
def receipt_extra(data: bytes) -> None:
    """An honest proof with any extra line: only the one entry, opened to what it covers, holds."""
    text = TlogProof(7, OPENED.proof.hashes, OPENED.proof.checkpoint, data).text()
    with suppress(ReceiptError):
        read = receipt.parse(text)
        assert read.text() == text
        read.verify(POLICY)
        assert read.entry == OPENED.entry
        opening, honest = read.opening, OPENED.opening
        # A key that HMAC fills up with zeroes is the same key: all else is bound.
        assert opening is None or (opening.kind, opening.digests) == (honest.kind, honest.digests)  # type: ignore[union-attr]


@target(*(case["policy"] for case in [*POLICIES["valid"][:-1], *POLICIES["refused"]]), b"witness \xff \xfe")
def trust_policy(data: bytes) -> None:
    """A policy reads back equal from its own text."""
    with suppress(TrustError):
        policy = trust.parse(data)
        assert trust.parse(policy.encode()) == policy


COUNTS = ("any", "all", "1", "2", "0", "3")
MEMBERS = ("a", "a b", "a b c", "g", "g c", "h g", "none", "g a", "a a")
POLICY_LINES = (
    *(f"log {vkey}" for vkey in VKEYS[:2]),
    *(f"witness {name} {vkey}" for name in ("a", "b", "c", "none") for vkey in VKEYS),
    *(f"group {name} {count} {members}" for name in "abgh" for count in COUNTS for members in MEMBERS),
    *(f"quorum {name}" for name in ("none", "a", "b", "g", "h")),
)
LINE_OF = {line: number for number, line in enumerate(POLICY_LINES)}


def lines_of(*lines: str) -> bytes:
    """Return the input of `policy_lines` that picks these lines."""
    return b"".join(LINE_OF[line].to_bytes(2, "big") for line in lines)


@target(
    lines_of(f"log {VKEYS[0]}", f"witness a {VKEYS[1]}", "quorum a"),
    lines_of(f"witness a {VKEYS[1]}", f"witness b {VKEYS[4]}", "group g 2 a b", "quorum g"),
    longest=40,
)
def policy_lines(data: bytes) -> None:
    """Any choice of well-formed lines makes a policy that keeps the rules, or none."""
    chosen = [
        POLICY_LINES[int.from_bytes(data[at : at + 2], "big") % len(POLICY_LINES)]
        for at in range(0, len(data), 2)
    ]
    with suppress(TrustError):
        policy = trust.parse("\n".join(chosen).encode())
        assert trust.parse(policy.encode()) == policy
        assert policy.satisfied(policy.witnesses) or policy.quorum in ("", trust.NO_QUORUM)
        assert policy.satisfied([]) == (policy.quorum == trust.NO_QUORUM)
        members = [name for group in policy.groups.values() for name in group.members]
        assert len(members) == len(set(members))
        assert all(1 <= group.threshold <= len(group.members) for group in policy.groups.values())


PROMISES = load("receipts.json")
PROMISED = {case["promise"]: case["leaf_hash"] for case in PROMISES["valid"]}


@target(*PROMISED, *(case["promise"] for case in PROMISES["refused"]))
def promise_note(data: bytes) -> None:
    """Only the promises that were made open, each in its one text."""
    text = as_text(data)
    with suppress(PromiseError):
        found = promise.open_promise(text, LOG.verifier())
        assert (found.leaf_hash.hex(), found.by) == (PROMISED[text], PROMISES["by"])
        assert promise.claimed_origin(text) == found.origin


@target(*(text.rpartition("\n\n")[0] + "\n" for text in PROMISED), share=2)
def signed_promise(data: bytes) -> None:
    """Whatever text the ledger's key signs, with any place before it, is a promise or refused."""
    text = as_text(data)
    place, blank, signed = text.rpartition("\n\n")
    with suppress(NoteError, PromiseError):
        found = promise.open_promise(f"{place}{blank}{sign_note(signed, LOG)}", LOG.verifier())
        if not place:
            again = promise.make_promise(LOG, found.origin, found.leaf_hash, found.by)
            assert split_note(again)[0] == text


@target(
    *(
        bytes.fromhex(case["hex"])
        for case in [*load("canonical.json")["valid"], *load("canonical.json")["refused"]]
    )
)
def canonical_json(data: bytes) -> None:
    """A value has one sequence of bytes."""
    with suppress(CanonicalError):
        assert canonical.encode(canonical.decode(data)) == data


ENTRIES = load("entries.json")


@target(*(case["text"] for case in [*ENTRIES["valid"], *ENTRIES["unknown"], *ENTRIES["refused"]]))
def entry(data: bytes) -> None:
    """An entry has one sequence of bytes; one of a kind that is not known is kept as it is."""
    with suppress(EntryError):
        found = entries.decode(data)
        assert (found.data if isinstance(found, UnknownEntry) else entries.encode(found)) == data


NOW = 1_700_000_000
HEADERS = signed_request.headers(LOG, "POST", "/path?a=b", "ab" * 32, NOW)


@target(joined(*(value.encode() for value in HEADERS.values()), b"/path?a=b"), share=4)
def request_headers(data: bytes) -> None:
    """Of all headers and paths only the signed ones are taken, in their one text, within their time."""
    name, time, signed, path = map(as_text, parts(data, 4))
    sent = {"lightwell-key": name, "lightwell-time": time, "lightwell-signature": signed}
    with suppress(RequestSignatureError):
        signed_request.check(LOG.verifier(), sent, "POST", path, "ab" * 32, NOW)
        assert {"Lightwell-Key": name, "Lightwell-Time": time, "Lightwell-Signature": signed} == HEADERS
        assert path == "/path?a=b"


@target("", "AA==", "AAAA", "ab+/")
def base64(data: bytes) -> None:
    """Bytes have one text."""
    with suppress(ValueError):
        assert base64_strict.encode(base64_strict.decode(as_text(data))) == as_text(data)


@target("0", "9223372036854775807", "10")
def decimal(data: bytes) -> None:
    """A number has one text."""
    with suppress(ValueError):
        number = decimal_strict.decode(as_text(data))
        assert str(number) == as_text(data)
        assert 0 <= number < decimal_strict.LIMIT


@target(joined(b"slate", b"o" * 16, bytes(32)))
def opened_commitment(data: bytes) -> None:
    """Malformed input opens nothing and is no error."""
    kind, opening, digests = parts(data, 3)
    split = [digests[at : at + 32] for at in range(0, len(digests), 32)]
    assert not commitment.opens(bytes(32), as_text(kind), opening, *split)
