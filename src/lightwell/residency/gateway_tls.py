"""Mutual TLS between gateways, pinned by the roster: who holds no gateway seat's key completes no handshake.

A gateway's Ed25519 key, which the roster names, is the authority of exactly one TLS identity: its own. Each
process makes itself a fresh TLS key and a certificate that the gateway's key signs; the peer rebuilds the
authority from the roster's public key alone. So there is no file of a certificate authority to steal, no
certificate to renew by hand, and taking a seat out of the roster takes its TLS away with it.
"""

import datetime
import os
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lightwell.agreement.roster import Seat, seats_of
from lightwell.base.settings import Peer
from lightwell.wire.keys import SigningKey, Verifier

# A process that runs longer than this is restarted long before: patches come more often.
LIFE: Final = datetime.timedelta(days=397)
_SKEW: Final = datetime.timedelta(hours=1)
# Anchors are not statements in time: the roster says since when a key counts, and until when.
_EVER: Final = (
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC),
)
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, both PEM; the key belongs to one process and is written nowhere."""

    certificate: bytes
    private_key: bytes


def server_name(cell: str) -> str:
    """Return the name in the certificate of a cell's gateway; it is no host's, so no other server has it."""
    return f"{cell}.gateway.invalid"


def identity(key: SigningKey, cell: str, now: datetime.datetime) -> Identity:
    """Make a TLS key and have the gateway's key certify it for both ends of a connection.

    Args:
        key: the gateway's signing key, of any back-end: it only signs.
        cell: the cell's name.
        now: the time from which it counts, with its zone; it lasts `LIFE`.
    """
    leaf = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _named(server_name(cell), _authority(key.verifier()), now - _SKEW, now + LIFE)
        .public_key(leaf.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name(cell))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
    )
    # Signed once by a key that is thrown away, for its exact bytes; then by the gateway's own key, which
    # may lie in hardware and gives out signatures only. An Ed25519 signature ends the certificate.
    draft = builder.sign(Ed25519PrivateKey.generate(), None)
    signature = key.sign(draft.tbs_certificate_bytes)
    whole = draft.public_bytes(Encoding.DER)[:-_SIGNATURE_BYTES] + signature
    certificate = x509.load_der_x509_certificate(whole).public_bytes(Encoding.PEM)
    secret = leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(certificate, secret)


def anchor(vkey: str) -> bytes:
    """Return the PEM certificate that stands for a gateway's public key as the only authority to believe.

    Its own signature is by nobody: what is believed is the key, because the roster names it.

    Args:
        vkey: the verifier key of a gateway seat.

    Raises:
        NoteError: malformed.
    """
    verifier = Verifier.from_vkey(vkey)
    builder = (
        _named(_authority(verifier), _authority(verifier), *_EVER)
        .public_key(Ed25519PublicKey.from_public_bytes(verifier.public_bytes))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return builder.sign(Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM)


def pinned(roster: list[Seat], peers: Iterable[Peer]) -> dict[str, str]:
    """Return cell -> verifier key of the peers whose key settings and roster agree on.

    Args:
        roster: who holds which key.
        peers: whom this cell may talk to.
    """
    return {
        peer.cell: peer.gateway_vkey
        for peer in peers
        if peer.gateway_vkey in {seat.vkey for seat in seats_of(roster, "gateway", peer.cell)}
    }


def client_context(own: Identity, peer_vkey: str) -> ssl.SSLContext:
    """Return a context that reaches one peer's gateway and no other server, and shows who asks.

    Args:
        own: this process's identity.
        peer_vkey: the peer's gateway key, as `pinned` returned it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=anchor(peer_vkey).decode("ascii"))
    # OpenSSL reads these from a file only; this one is gone before anybody could open it.
    with tempfile.NamedTemporaryFile(prefix="lightwell-", suffix=".pem") as file:
        file.write(own.certificate + own.private_key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def write_listener_files(folder: Path, own: Identity, peer_vkeys: Iterable[str]) -> tuple[Path, Path, Path]:
    """Write what a TLS server reads: certificate, private key (for its owner alone), accepted authorities.

    Args:
        folder: a folder of the cell's keys; files of an earlier process are replaced.
        own: the listener's identity.
        peer_vkeys: the gateway keys of all peers; without one, nobody can connect.

    Returns:
        Paths of the three files.
    """
    authorities = b"".join(anchor(vkey) for vkey in peer_vkeys)
    if not authorities:
        # A TLS library without authorities may ask for no certificate at all: believe a key nobody has.
        nobody = SigningKey.generate("lightwell/nobody", os.urandom(32))
        authorities = anchor(nobody.verifier().vkey())
    files = {"gateway-tls.crt": own.certificate, "gateway-tls.key": own.private_key}
    files["gateway-tls-peers.crt"] = authorities
    for name, content in files.items():
        draft = folder / f"{name}.new"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        draft.replace(folder / name)
    certificate, key, peers = (folder / name for name in files)
    return certificate, key, peers


def _authority(verifier: Verifier) -> str:
    return f"{verifier.name} {verifier.key_id.hex()}"


def _named(
    subject: str, issuer: str, start: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
