"""The closed set of facts a ledger records, each with one form in bytes; unknown kinds are kept, not dropped.

An entry is the canonical JSON of its fields with `kind` and `v`. No entry holds personal data, a user id
or any pseudonym that lasts; where a fact concerns a person, its time is cut to the minute.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from lightwell.wire import canonical
from lightwell.wire.entries_home import (
    AppointmentDecided,
    AppointmentProposed,
    CellKeyChanged,
    DirectoryChanged,
    LabelsCounted,
    LawfulRequestAnswered,
    LawfulRequestReceived,
    LawfulRequestRefused,
    QuarantineClosed,
    QuarantineOpened,
)
from lightwell.wire.entry_fields import Count, Digest, Minute, Name, Names, Seconds
from lightwell.wire.fact import Fact
from lightwell.wire.shapes import settle
from lightwell.wire.tiles import ENTRY_LIMIT

# Kinds that are written down in `entries_home` are read from here too, like all others.
__all__ = [
    "AppointmentDecided",
    "AppointmentProposed",
    "CellKeyChanged",
    "DirectoryChanged",
    "Fact",
    "LabelsCounted",
    "LawfulRequestAnswered",
    "LawfulRequestReceived",
    "LawfulRequestRefused",
    "QuarantineClosed",
    "QuarantineOpened",
]


class EntryError(ValueError):
    """The bytes or values are no entry of the kind they claim to be."""


class AgreementAdopted(Fact, frozen=True, tag=True):
    """An agreement, with who holds which key, is in force from here on.

    `parties` are those who signed it and `signatures` their Ed25519 signatures in hex, in the same order,
    over `agreement.signing.paper_text`. `amends` is the digest of the agreement before it, `policy` that of
    the ranking policy that a founding names.
    """

    at: Seconds
    agreement: Name
    version: Count
    digest: Digest
    roster_digest: Digest
    parties: Names | msgspec.UnsetType = msgspec.UNSET
    signatures: Names | msgspec.UnsetType = msgspec.UNSET
    amends: Digest | msgspec.UnsetType = msgspec.UNSET
    policy: Digest | msgspec.UnsetType = msgspec.UNSET


class PolicyAdopted(Fact, frozen=True, tag=True):
    """A ranking policy may serve from here on."""

    at: Seconds
    digest: Digest
    approvals: Count


class PolicyProposed(Fact, frozen=True, tag=True):
    """Somebody asks that a ranking policy be adopted; `seat` is empty if it is no seat of the roster."""

    at: Minute
    policy: Digest
    version: Count
    promotions: Count
    role: Name
    seat: Name


class PromotionListed(Fact, frozen=True, tag=True):
    """A proposed ranking policy holds this promotion; the digest covers its video and its reason too."""

    at: Minute
    policy: Digest
    promotion: Digest
    raises: bool
    start: Seconds
    end: Seconds
    ceiling: Count
    """Share of requests in which it may act, in millionths."""


class PolicyApproved(Fact, frozen=True, tag=True):
    """Another than the proposer approves a policy with all its promotions.

    `signature` is the hex Ed25519 signature of a seat of the roster over `agreement.policy_papers.text`;
    both are empty for a member of staff, whose key the ledger must not tell.
    """

    at: Minute
    policy: Digest
    role: Name
    seat: Name
    signature: Name


class SnapshotPublished(Fact, frozen=True, tag=True):
    """A snapshot may serve from here on; the digests say what it was made from.

    One without `base` is a whole model, and `model` is the digest of its manifest. One with it is what is
    newer than that base, and is ranked from together with it.
    """

    at: Seconds
    snapshot: Digest
    events: Digest
    settings: Digest
    code: Digest
    videos: Count
    base: Digest | msgspec.UnsetType = msgspec.UNSET
    model: Digest | msgspec.UnsetType = msgspec.UNSET


class VideoPublished(Fact, frozen=True, tag=True):
    """A video was published."""

    at: Minute
    commitment: Digest


class VideoWithdrawn(Fact, frozen=True, tag=True):
    """A published video was taken back; `withdrawal_digest` of its id opens the commitment."""

    at: Minute
    commitment: Digest


class SlateServed(Fact, frozen=True, tag=True):
    """A slate was answered; its record opens the commitment."""

    at: Minute
    commitment: Digest
    snapshot: Digest
    policy: Digest


class AccessRequested(Fact, frozen=True, tag=True):
    """A member of staff asked to see protected fields of one account."""

    at: Minute
    request: Name
    place: Name
    role: Name
    fields: Names
    purpose: Name


class AccessDecided(Fact, frozen=True, tag=True):
    """Such a request was granted or refused."""

    at: Minute
    request: Name
    outcome: Literal["granted", "refused"]
    reason: Name
    place: Name
    role: Name
    approvals: Count
    expires_at: Seconds


class AccessUsed(Fact, frozen=True, tag=True):
    """Fields were read under a grant."""

    at: Minute
    request: Name
    fields: Names


class AccessEnded(Fact, frozen=True, tag=True):
    """A grant is over."""

    at: Minute
    request: Name
    why: Literal["expired", "revoked"]


class RecordsOpened(Fact, frozen=True, tag=True):
    """Slate records were unsealed for replay."""

    at: Minute
    by: Name
    reason: Name
    count: Count


class TransferSent(Fact, frozen=True, tag=True):
    """A message left through the gateway."""

    at: Minute
    transfer: Name
    flow: Name
    peer: Name
    digest: Digest
    size: Count
    """Bytes."""


class TransferReceived(Fact, frozen=True, tag=True):
    """A message came in through the gateway."""

    at: Minute
    transfer: Name
    flow: Name
    peer: Name
    digest: Digest
    size: Count
    """Bytes."""


class TransferRefused(Fact, frozen=True, tag=True):
    """The gateway let a message neither out nor in."""

    at: Minute
    transfer: Name
    flow: Name
    peer: Name
    reason: Name


class ConnectionRefused(Fact, frozen=True, tag=True):
    """A process tried to open a connection that is not on its cell's list."""

    at: Minute
    process: Name
    reason: Name


class OrderTaken(Fact, frozen=True, tag=True):
    """A valid order was accepted."""

    at: Seconds
    order: Name
    verb: Name
    scope: Name
    digest: Digest
    signer: Name


class OrderRefused(Fact, frozen=True, tag=True):
    """An order was refused: forged, replayed, not empowered, or the like."""

    at: Seconds
    digest: Digest
    reason: Name


class OrderEffective(Fact, frozen=True, tag=True):
    """A process acts on an order from here on."""

    at: Seconds
    order: Name
    process: Name


class AccessOpened(Fact, frozen=True, tag=True):
    """An emergency opened fields of one account before anybody approved it; others must review it in time."""

    at: Minute
    request: Name
    place: Name
    role: Name
    witnesses: Count
    alarmed: bool
    """Whether it was opened without the witnesses that the agreement asks for."""
    expires_at: Seconds
    review_by: Seconds


class AccessReviewed(Fact, frozen=True, tag=True):
    """Others than its requester and witnesses have looked at an emergency afterwards."""

    at: Minute
    request: Name
    outcome: Literal["justified", "unjustified"]
    reviewers: Count


class AggregateAnswered(Fact, frozen=True, tag=True):
    """A count over many people was asked for: answered with noise, or refused."""

    at: Minute
    place: Name
    role: Name
    question: Name
    outcome: Literal["answered", "refused"]
    reason: Name
    spent: Count
    """Thousandths of epsilon that this answer took from the asker's budget; 0 for one given before."""
    spent_in_all: Count
    """Thousandths of epsilon that the asker has spent in the running period, this one included."""
    epsilon: Count
    """Thousandths of epsilon under which the counts were made noisy; 0 when refused."""


class AccountErased(Fact, frozen=True, tag=True):
    """A person deleted their account; what they were told opens the commitment, and nothing else does."""

    at: Minute
    commitment: Digest


class MigrationSent(Fact, frozen=True, tag=True):
    """Accounts of this cell were given to another, which is their home from here on."""

    at: Minute
    migration: Name
    peer: Name
    term: Name
    accounts: Count
    digest: Digest
    """Over the salted digest of each account's plaintext, as the certificate says them."""


class MigrationReceived(Fact, frozen=True, tag=True):
    """Accounts of another cell live here from here on; the fields are those of `MigrationSent` there."""

    at: Minute
    migration: Name
    peer: Name
    term: Name
    accounts: Count
    digest: Digest


class MigrationErased(Fact, frozen=True, tag=True):
    """What was given to another cell is erased here, with the keys that backups of it would need."""

    at: Minute
    migration: Name
    peer: Name
    accounts: Count
    rows: Count
    objects: Count
    key_versions: Names
    """The versions of the cell key that were destroyed: copies made under them open nowhere."""


Entry: TypeAlias = (
    AgreementAdopted
    | PolicyAdopted
    | PolicyProposed
    | PromotionListed
    | PolicyApproved
    | SnapshotPublished
    | VideoPublished
    | VideoWithdrawn
    | SlateServed
    | AccessRequested
    | AccessDecided
    | AccessUsed
    | AccessEnded
    | RecordsOpened
    | TransferSent
    | TransferReceived
    | TransferRefused
    | ConnectionRefused
    | OrderTaken
    | OrderRefused
    | OrderEffective
    | AccessOpened
    | AccessReviewed
    | DirectoryChanged
    | AggregateAnswered
    | AccountErased
    | MigrationSent
    | MigrationReceived
    | MigrationErased
    | LawfulRequestReceived
    | LawfulRequestAnswered
    | LawfulRequestRefused
    | QuarantineOpened
    | QuarantineClosed
    | LabelsCounted
    | CellKeyChanged
    | AppointmentProposed
    | AppointmentDecided
)

KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in Fact.__subclasses__()}
"""Every kind by its name."""
settle(*KINDS.values())


class UnknownEntry(msgspec.Struct, frozen=True):
    """An entry of a kind or version made after this reader: verified like any other, kept as it is."""

    kind: str
    v: int
    data: bytes
    """Its canonical bytes."""

    KNOWN: ClassVar[bool] = False


def encode(entry: Entry) -> bytes:
    """Return the canonical bytes of an entry, after checking it against its schema.

    Raises:
        EntryError: a field out of its range or type, or over 65,535 bytes in all.
    """
    fields = msgspec.to_builtins(entry)
    try:
        msgspec.convert(fields, type(entry))
        data = canonical.encode(fields)
    except (msgspec.ValidationError, canonical.CanonicalError) as error:
        raise EntryError(f"{type(entry).__name__}: {error}") from None
    if len(data) > ENTRY_LIMIT:
        raise EntryError(f"{type(entry).__name__}: over {ENTRY_LIMIT} bytes")
    return data


def decode(data: bytes) -> Entry | UnknownEntry:
    """Return the entry in `data`, or an `UnknownEntry` if its kind or version is not known here.

    Raises:
        EntryError: not canonical, without kind or version, or a known kind with wrong fields.
    """
    try:
        fields = canonical.decode(data)
    except canonical.CanonicalError as error:
        raise EntryError(str(error)) from None
    if not isinstance(fields, dict):
        raise EntryError("an entry is an object")
    kind, version = fields.get("kind"), fields.get("v")
    if not isinstance(kind, str) or isinstance(version, bool) or not isinstance(version, int):
        raise EntryError("an entry names its kind and version")
    schema: Any = KINDS.get(kind)
    if schema is None or version != 1:
        return UnknownEntry(kind, version, data)
    try:
        entry: Entry = msgspec.convert(fields, schema)
    except msgspec.ValidationError as error:
        raise EntryError(f"{kind}: {error}") from None
    return entry


def withdrawal_digest(video: str) -> bytes:
    """Return the SHA-256 that a `VideoWithdrawn` entry commits to: of the canonical JSON `{"video": id}`."""
    return hashlib.sha256(canonical.encode({"video": video})).digest()


def minute(seconds: int) -> int:
    """Return `seconds` since the epoch cut to the minute, as entries about persons carry it."""
    return seconds - seconds % 60
