"""The certificate of a migration: what both cells' ledger keys say was moved, and what was erased with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from lightwell.agreement.roster import Seat, seats_of
from lightwell.wire import canonical, entries
from lightwell.wire.entries import MigrationErased, MigrationReceived, MigrationSent
from lightwell.wire.keys import NoteError, SigningKey, Verifier
from lightwell.wire.merkle import leaf_hash
from lightwell.wire.note import open_note, sign_note

FORMAT: Final = "lightwell-migration/1"


class CertificateError(ValueError):
    """The certificate is malformed, contradicts itself, or is not signed by both cells."""


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a migration came to; no account is named in it.

    `sent`, `received` and `erased` are the canonical texts of the entries in the ledgers of the source, the
    target and the source. `tables` counts rows by table. Times are seconds since the epoch.
    """

    format: str
    migration: str
    source: str
    source_region: str
    target: str
    target_region: str
    agreement: str
    agreement_digest: str
    term: str
    accounts: int
    refused: int
    digest: str
    tables: dict[str, int]
    objects: int
    object_bytes: int
    key_versions: list[str]
    began_at: int
    ended_at: int
    sent: str
    received: str
    erased: str


def sign(certificate: Certificate, source: SigningKey, target: SigningKey) -> str:
    """Return the certificate as a note (C2SP signed-note) under the ledger keys of both cells."""
    text = canonical.encode(msgspec.to_builtins(certificate)).decode() + "\n"
    return sign_note(text, source, target)


def read(note: str, roster: Sequence[Seat]) -> Certificate:
    """Return a certificate after checking all that can be checked of it without the ledgers.

    Args:
        note: as `sign` returned it.
        roster: who holds which key.

    Raises:
        CertificateError: malformed; not signed by the ledger seats of both cells; or its entries, which
            `leaves` names, say other things than it says itself.
    """
    try:
        text = note.rpartition("\n\n")[0]
        certificate = msgspec.convert(canonical.decode(text.encode()), Certificate)
    except (canonical.CanonicalError, msgspec.ValidationError) as error:
        raise CertificateError(f"no certificate of a migration: {error}") from None
    if certificate.format != FORMAT or certificate.source == certificate.target:
        raise CertificateError("no certificate of a migration between two cells")
    for cell in (certificate.source, certificate.target):
        keys = [seat.vkey for seat in seats_of(list(roster), "ledger", cell)]
        if not keys:
            raise CertificateError(f"the roster has no ledger key of cell {cell}")
        try:
            open_note(note, [Verifier.from_vkey(vkey) for vkey in keys])
        except NoteError as error:
            raise CertificateError(f"not signed by cell {cell}: {error}") from None
    _agree(certificate)
    return certificate


def leaves(certificate: Certificate) -> dict[str, tuple[str, bytes]]:
    """Return the leaf hash of each entry by its kind, with the cell in whose ledger it stands."""
    return {
        "MigrationSent": (certificate.source, leaf_hash(certificate.sent.encode())),
        "MigrationReceived": (certificate.target, leaf_hash(certificate.received.encode())),
        "MigrationErased": (certificate.source, leaf_hash(certificate.erased.encode())),
    }


def _agree(certificate: Certificate) -> None:
    try:
        sent, received, erased = (
            entries.decode(text.encode())
            for text in (certificate.sent, certificate.received, certificate.erased)
        )
    except entries.EntryError as error:
        raise CertificateError(f"an entry in it is malformed: {error}") from None
    if not (
        isinstance(sent, MigrationSent)
        and isinstance(received, MigrationReceived)
        and isinstance(erased, MigrationErased)
    ):
        raise CertificateError("its entries are not those of a migration")
    same = (certificate.migration, certificate.accounts)
    for peer, entry in ((certificate.target, sent), (certificate.source, received)):
        if (entry.migration, entry.accounts, entry.digest, entry.term, entry.peer) != (
            *same,
            certificate.digest,
            certificate.term,
            peer,
        ):
            raise CertificateError(f"its entry {type(entry).__name__} says something else than it does")
    if (erased.migration, erased.accounts, erased.objects, erased.key_versions, erased.peer) != (
        *same,
        certificate.objects,
        certificate.key_versions,
        certificate.target,
    ) or erased.rows != sum(certificate.tables.values()):
        raise CertificateError("its entry MigrationErased says something else than it does")
    if not certificate.key_versions:
        raise CertificateError("no key was destroyed: backups of the source would still open")
