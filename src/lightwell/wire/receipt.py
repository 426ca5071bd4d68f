"""A receipt is one file that proves, offline, that an entry is in a ledger and what its commitment covers.

Format: a `tlog-proof@v1` whose extra line holds canonical JSON: `entry`, the entry's text, and, of an entry
with a commitment, `opening`, `kind` and `digests`; `content` if the holder also has what the last digest is
of, such as the slate that was shown.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, cast

from lightwell.wire import canonical, commitment, merkle, tlog_proof
from lightwell.wire.canonical import Json
from lightwell.wire.checkpoint import OpenedCheckpoint
from lightwell.wire.tlog_proof import TlogProof, TlogProofError
from lightwell.wire.trust import TrustPolicy


class ReceiptError(ValueError):
    """The receipt is malformed, or does not show what it should."""


@dataclass(frozen=True)
class Opening:
    """What an entry's commitment covers, and the secret that opens it; for the holder's eyes."""

    kind: str
    opening: bytes
    """At least 16 bytes."""
    digests: tuple[bytes, ...]
    """32 bytes each."""
    content: Json = None
    """What the last digest is of, as canonical JSON; None if the holder does not have it."""


@dataclass(frozen=True)
class Receipt:
    """A receipt as its holder keeps it; nothing in it is verified before `verify`."""

    proof: TlogProof
    entry: bytes
    opening: Opening | None

    def text(self) -> str:
        """Return the receipt as a file's text."""
        extra = canonical.encode(_extra(self.entry, self.opening))
        proof = self.proof
        return TlogProof(proof.index, proof.hashes, proof.checkpoint, extra).text()

    def verify(self, policy: TrustPolicy) -> OpenedCheckpoint:
        """Check the receipt against the logs and witnesses of `policy`; return the checkpoint it rests on.

        Raises:
            ReceiptError: the entry is not shown to be in the log, or its commitment covers something else.
        """
        try:
            opened = self.proof.verify(merkle.leaf_hash(self.entry), policy)
        except TlogProofError as error:
            raise ReceiptError(str(error)) from None
        if self.opening is not None:
            _check_opening(self.entry, self.opening)
        return opened


def parse(text: str) -> Receipt:
    """Parse a receipt.

    Raises:
        ReceiptError: no proof, or an extra line that is not a receipt's.
    """
    try:
        proof = tlog_proof.parse(text)
    except TlogProofError as error:
        raise ReceiptError(str(error)) from None
    if proof.extra is None:
        raise ReceiptError("there is no extra line, so it is not known what entry this is of")
    try:
        extra = canonical.decode(proof.extra)
        entry, opening = _read_extra(extra)
    except canonical.CanonicalError as error:
        raise ReceiptError(f"extra line: {error}") from None
    except (KeyError, TypeError, ValueError):
        raise ReceiptError("the extra line is not a receipt's") from None
    return Receipt(proof, entry, opening)


def _extra(entry: bytes, opening: Opening | None) -> dict[str, Any]:
    extra: dict[str, Any] = {"entry": entry.decode()}
    if opening is not None:
        extra["kind"] = opening.kind
        extra["opening"] = opening.opening.hex()
        extra["digests"] = [digest.hex() for digest in opening.digests]
        if opening.content is not None:
            extra["content"] = opening.content
    return extra


def _read_extra(extra: Json) -> tuple[bytes, Opening | None]:
    if not isinstance(extra, dict) or not isinstance(extra["entry"], str):
        raise TypeError
    rest = extra.keys() - {"entry", "content"}
    if extra.get("content", ...) is None:
        # No content is written by leaving it out: a receipt has one text.
        raise TypeError
    entry = extra["entry"].encode()
    if not rest:
        if "content" in extra:
            raise TypeError
        return entry, None
    if rest != {"kind", "opening", "digests"} or not isinstance(extra["digests"], list):
        raise TypeError
    # Anything that is no text fails here, and is refused as any other malformed field.
    digests = tuple(_from_hex(cast(str, one)) for one in extra["digests"])
    kind = extra["kind"]
    if not isinstance(kind, str):
        raise TypeError
    return entry, Opening(kind, _from_hex(cast(str, extra["opening"])), digests, extra.get("content"))


def _from_hex(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if raw.hex() != text:
        raise ValueError
    return raw


def _check_opening(entry: bytes, opening: Opening) -> None:
    try:
        fields = canonical.decode(entry)
    except canonical.CanonicalError as error:
        raise ReceiptError(f"the entry: {error}") from None
    committed = fields.get("commitment") if isinstance(fields, dict) else None
    if not isinstance(committed, str):
        raise ReceiptError("the entry has no commitment that could be opened")
    try:
        made = commitment.commit(opening.kind, opening.opening, *opening.digests)
    except ValueError as error:
        raise ReceiptError(f"the opening: {error}") from None
    if made.hex() != committed:
        raise ReceiptError("the opening does not open the entry's commitment")
    if opening.content is not None:
        try:
            found = hashlib.sha256(canonical.encode(opening.content)).digest()
        except canonical.CanonicalError as error:
            raise ReceiptError(f"the content: {error}") from None
        if found != opening.digests[-1]:
            raise ReceiptError("the content is not what the commitment covers")
