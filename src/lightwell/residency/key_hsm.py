"""A cell's root keys in a hardware security module behind PKCS#11: they are made there and never leave it.

The cell key (AES-256, one object a version), the index key and the signing keys (Ed25519) are objects of one
token, neither extractable nor readable. Account keys are wrapped with CKM_AES_GCM, signatures are made with
CKM_EDDSA. Keys of blind indexes are derived in the module with CKM_SHA256_HMAC and held by the process, since
a module answers in milliseconds and every request looks something up.
"""

import hmac
import secrets
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import unquote

from msgspec import Struct

from lightwell.residency.key_file import write_secret
from lightwell.residency.root_keys import SIGNERS, VaultError, signer_name, wipe
from lightwell.residency.sealing import NONCE_BYTES
from lightwell.wire.keys import SigningKey, Verifier

try:
    import pkcs11
    from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
except ImportError:  # the extra `hsm` is not installed; `Address.parse` says so
    pkcs11 = None  # type: ignore[assignment]

Answer = TypeVar("Answer")

# The name of the curve as PKCS#11 3.0 wants it in CKA_EC_PARAMS: a DER PrintableString.
_EDWARDS25519: Final = b"\x13\x0cedwards25519"
_ATTEMPTS: Final = 2


class Address(Struct, frozen=True):
    """Which token of which module, and where its PIN is: a PKCS#11 URI (RFC 7512)."""

    token: str
    module: Path
    pin_file: Path

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read `pkcs11:token=NAME?module-path=FILE&pin-source=FILE`.

        The PIN itself may not stand in the URI (`pin-value`): settings are no place for secrets.

        Raises:
            VaultError: another form, an attribute this vault does not know, or no PKCS#11 support installed.
        """
        if pkcs11 is None:
            raise VaultError("keys in a PKCS#11 module need the extra `hsm`: pip install 'lightwell[hsm]'")
        scheme, _, rest = uri.partition(":")
        path, _, query = rest.partition("?")
        pairs = [part.partition("=") for part in (*path.split(";"), *query.split("&")) if part]
        found = {name: unquote(value) for name, _, value in pairs}
        if scheme != "pkcs11" or set(found) != {"token", "module-path", "pin-source"}:
            raise VaultError("keys are at pkcs11:token=NAME?module-path=FILE&pin-source=FILE, or in a `file`")
        pin_file = Path(found["pin-source"].removeprefix("file:"))
        return cls(found["token"], Path(found["module-path"]), pin_file)


class _Token:
    """One signed-in session with a token, opened again when the module has lost it; one call at a time."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._session: Any = None
        self._objects: dict[tuple[str, int], Any] = {}

    def do(self, work: Callable[["_Token"], Answer]) -> Answer:
        """Run `work` with a live session.

        Raises:
            VaultError: the module does not answer or refuses; what it was asked is not in the message.
        """
        with self._lock:
            for attempt in range(_ATTEMPTS):
                try:
                    return work(self)
                except pkcs11.exceptions.PKCS11Error as error:
                    self._session = None
                    self._objects.clear()
                    if attempt == _ATTEMPTS - 1:
                        raise VaultError(f"the key module refused: {type(error).__name__}") from error
        raise AssertionError("unreachable")

    @property
    def session(self) -> Any:
        """The open session."""
        if self._session is None:
            self._session = self._open()
        return self._session

    def find(self, label: str, kind: Any) -> Any:
        """Return the object of this label and class, or None."""
        held = self._objects.get((label, int(kind)))
        if held is None:
            wanted = {Attribute.LABEL: label, Attribute.CLASS: kind}
            held = next(iter(self.session.get_objects(wanted)), None)
            if held is not None:
                self._objects[label, int(kind)] = held
        return held

    def forget(self, label: str) -> None:
        """Drop the handles of this label."""
        for known in [key for key in self._objects if key[0] == label]:
            del self._objects[known]

    def _open(self) -> Any:
        try:
            pin = self._address.pin_file.read_text("utf-8").strip()
        except OSError as error:
            raise VaultError(f"{self._address.pin_file}: the PIN cannot be read") from error
        try:
            token = pkcs11.lib(str(self._address.module)).get_token(token_label=self._address.token)
        except (pkcs11.exceptions.NoSuchToken, pkcs11.exceptions.MultipleTokensReturned) as error:
            raise VaultError(f"the module has not exactly one token {self._address.token!r}") from error
        except RuntimeError as error:
            raise VaultError(f"{self._address.module}: this is no PKCS#11 module") from error
        try:
            return token.open(rw=True, user_pin=pin)
        except pkcs11.exceptions.UserAlreadyLoggedIn:
            # Sign-in is the process's, not the session's: another cell of this process did it.
            return token.open(rw=True)


_tokens: dict[Address, _Token] = {}
_tokens_lock: Final = threading.Lock()


def _token(address: Address) -> _Token:
    with _tokens_lock:
        return _tokens.setdefault(address, _Token(address))


class ModuleSigningKey(SigningKey):
    """A signing key whose private half is in the module; its text can be had by nobody."""

    __slots__ = ("_label", "_token")

    def __init__(self, token: _Token, label: str, verifier: Verifier) -> None:
        self._token = token
        self._label = label
        self._verifier = verifier

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of `message`, made in the module."""

        def work(token: _Token) -> bytes:
            key = _need(token, self._label, ObjectClass.PRIVATE_KEY)
            return bytes(key.sign(message, mechanism=Mechanism.EDDSA))

        return self._token.do(work)

    def text(self) -> str:
        """Refuse: the key never leaves the module.

        Raises:
            VaultError: always.
        """
        raise VaultError("the key is in a key module and does not leave it")


class ModuleRootKeys:
    """Root keys as objects of one token, labelled `lightwell/<cell>/...`; `keys/name` says which cell's."""

    kind: Final = "pkcs11"

    def __init__(self, token: _Token, cell: str) -> None:
        self._token = token
        self._cell = cell
        self._signers: dict[str, SigningKey] = {}
        self._index_keys: dict[str, bytearray] = {}
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, cell: str, uri: str) -> Self:
        """Make fresh keys for a new cell in the token.

        Args:
            folder: the cell's folder; only `keys/name` is written there.
            cell: the cell's name.
            uri: as `Address.parse` reads it; the token exists already.

        Raises:
            VaultError: the token holds this cell's keys already, or the module refuses.
        """
        token = _token(Address.parse(uri))
        if token.do(lambda t: t.find(f"lightwell/{cell}/index", ObjectClass.SECRET_KEY)) is not None:
            raise VaultError(f"the token holds a key vault of cell {cell!r} already")
        made = cls(token, cell)
        for name in SIGNERS:
            token.do(partial(_make_signer, label=f"lightwell/{cell}/{name}"))
        made.make_version(1)
        token.do(lambda t: _make_index_key(t, f"lightwell/{cell}/index"))
        place = folder / "keys"
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)
        write_secret(place / "name", cell)
        return cls.open(folder, uri)

    @classmethod
    def open(cls, folder: Path, uri: str) -> Self:
        """Find the keys that `create` made.

        Raises:
            VaultError: `keys/name` or a key is missing, or the module does not answer.
        """
        path = folder / "keys" / "name"
        try:
            cell = path.read_text("utf-8").strip()
        except OSError as error:
            raise VaultError(f"{path}: no such file; has this cell's key vault moved?") from error
        found = cls(_token(Address.parse(uri)), cell)
        for name in SIGNERS:
            found._signers[name] = found._open_signer(name)
        if not found.versions():
            raise VaultError(f"the token holds no cell key of cell {cell!r}")
        return found

    @property
    def cell(self) -> str:
        """The cell these keys belong to."""
        return self._cell

    def versions(self) -> list[int]:
        """Return the versions of the cell key that the token holds now, in order."""
        prefix = self._label("cell/")

        def work(token: _Token) -> list[int]:
            wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES}
            labels = [found[Attribute.LABEL] for found in token.session.get_objects(wanted)]
            return sorted(int(one.removeprefix(prefix)) for one in labels if one.startswith(prefix))

        return self._token.do(work)

    def make_version(self, version: int) -> None:
        """Make a version of the cell key in the token; one that is there already is kept."""
        label = self._label(f"cell/{version}")

        def work(token: _Token) -> None:
            if token.find(label, ObjectClass.SECRET_KEY) is None:
                token.session.generate_key(
                    KeyType.AES,
                    256,
                    label=label,
                    store=True,
                    template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
                )

        self._token.do(work)

    def destroy_version(self, version: int) -> None:
        """Destroy the version's object in the token; one that is gone already is no error."""
        label = self._label(f"cell/{version}")

        def work(token: _Token) -> None:
            token.forget(label)
            found = token.find(label, ObjectClass.SECRET_KEY)
            if found is not None:
                found.destroy()
            token.forget(label)

        self._token.do(work)

    def forget_version(self, version: int) -> None:
        """Drop the version's handle."""
        self._token.do(lambda token: token.forget(self._label(f"cell/{version}")))

    def wrap(self, version: int, key: bytes | bytearray, bound_to: bytes) -> bytes:
        """Encrypt an account key in the module; the nonce comes first."""
        nonce = secrets.token_bytes(NONCE_BYTES)

        def work(token: _Token) -> bytes:
            cell_key = self._cell_key(token, version)
            how = GCMParams(nonce, bound_to, 128)
            return bytes(cell_key.encrypt(bytes(key), mechanism=Mechanism.AES_GCM, mechanism_param=how))

        return nonce + self._token.do(work)

    def unwrap(self, version: int, wrapped: bytes, bound_to: bytes) -> bytearray:
        """Undo `wrap`.

        Raises:
            VaultError: another cell's key wrapped it, or for another account, or the version is gone.
        """

        def work(token: _Token) -> bytearray:
            cell_key = self._cell_key(token, version)
            how = GCMParams(wrapped[:NONCE_BYTES], bound_to, 128)
            body = wrapped[NONCE_BYTES:]
            return bytearray(cell_key.decrypt(body, mechanism=Mechanism.AES_GCM, mechanism_param=how))

        return self._token.do(work)

    def mac(self, name: str, data: bytes) -> bytes:
        """Return HMAC-SHA256 under the index key derived for `name`, so that indexes cannot be joined."""
        with self._lock:  # nobody overwrites the key while it is used
            key = self._index_keys.get(name)
            if key is None:
                label = b"lightwell/index/v1\n" + name.encode()
                self._index_keys[name] = key = bytearray(self._token.do(lambda t: self._derive(t, label)))
            return hmac.digest(key, data, "sha256")

    def signing_key(self, name: str) -> SigningKey:
        """Return the cell's key called `name`, which signs in the module; `VaultError` if there is none."""
        try:
            return self._signers[name]
        except KeyError as error:
            raise VaultError(f"the key vault holds no signing key {name!r}") from error

    def forget(self) -> None:
        """Overwrite and drop the derived index keys."""
        with self._lock:
            for key in self._index_keys.values():
                wipe(key)
            self._index_keys.clear()

    def _label(self, name: str) -> str:
        return f"lightwell/{self._cell}/{name}"

    def _cell_key(self, token: _Token, version: int) -> Any:
        found = token.find(self._label(f"cell/{version}"), ObjectClass.SECRET_KEY)
        if found is None:
            raise VaultError(f"there is no version {version} of this cell's key")
        return found

    def _derive(self, token: _Token, label: bytes) -> bytes:
        key = _need(token, self._label("index"), ObjectClass.SECRET_KEY)
        return bytes(key.sign(label, mechanism=Mechanism.SHA256_HMAC))

    def _open_signer(self, name: str) -> SigningKey:
        label = self._label(name)

        def work(token: _Token) -> bytes:
            _need(token, label, ObjectClass.PRIVATE_KEY)
            # CKA_EC_POINT is a DER octet string around the 32 bytes of the public key.
            return bytes(_need(token, label, ObjectClass.PUBLIC_KEY)[Attribute.EC_POINT])[-32:]

        verifier = Verifier(signer_name(self._cell, name), self._token.do(work))
        return ModuleSigningKey(self._token, label, verifier)


def _need(token: _Token, label: str, kind: Any) -> Any:
    found = token.find(label, kind)
    if found is None:
        raise VaultError(f"the token holds no key {label!r}")
    return found


def _make_signer(token: _Token, label: str) -> None:
    if token.find(label, ObjectClass.PRIVATE_KEY) is not None:
        return
    curve = token.session.create_domain_parameters(
        KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _EDWARDS25519}, local=True
    )
    curve.generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        store=True,
        label=label,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


def _make_index_key(token: _Token, label: str) -> None:
    token.session.generate_key(
        KeyType.GENERIC_SECRET,
        256,
        label=label,
        store=True,
        mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
        template={
            Attribute.SIGN: True,
            Attribute.VERIFY: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
        },
    )
