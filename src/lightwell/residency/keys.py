"""The key vault: a protected field opens only under a permit, and never again once its key is destroyed."""

import os
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self, get_args

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, delete, insert, select

from lightwell.agreement.access_terms import ProcessAction
from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.many import among
from lightwell.residency.decide import Permit, Refused
from lightwell.residency.key_cache import CACHE_SECONDS, KeyCache
from lightwell.residency.key_file import FileRootKeys
from lightwell.residency.key_versions import current_version
from lightwell.residency.keys_models import AccountKey
from lightwell.residency.labels import label_of
from lightwell.residency.root_keys import RootKeys, VaultError, wipe
from lightwell.residency.sealing import (
    NONCE_BYTES,
    OVERHEAD_BYTES,
    SealError,
    associated_data,
    generation_of,
    seal,
    unseal,
)
from lightwell.wire.keys import SigningKey

__all__ = [
    "CACHE_SECONDS",
    "OVERHEAD_BYTES",
    "KeyDestroyedError",
    "KeyVault",
    "SealError",
    "VaultError",
    "fold",
]

PERMIT_MILLISECONDS: Final = 5000
"""For so long after the decision a permit of staff opens anything; whoever looks again decides again."""
READS: Final = frozenset(("use_own", "read_granted", "look_quarantined", *get_args(ProcessAction)))
"""The actions whose permits open fields; to approve, to ask or to send is not to read."""

# A wrapped account key: 1 byte format (0x01), 2 bytes version of the cell key, big-endian, then what the
# back-end made. Bound to generation and version, "lightwell/account-key/v1", cell and account.
_FORMAT: Final = 1
_WRAP_HEADER: Final = 3
_KEY_BYTES: Final = 32
_KEYS_AT_ONCE: Final = 500
_KEYS_OF: Final = select(AccountKey.account_id, AccountKey.generation, AccountKey.wrapped).where(
    AccountKey.account_id.in_(bindparam("accounts", expanding=True))
)


class KeyDestroyedError(LookupError):
    """The account has no key: it was never made here, or the account was erased."""


class Use(NamedTuple):
    """Who opened what for which reason: a kind of principal, a reason code, a data category."""

    kind: str
    reason: str
    category: str


class KeyVault:
    """Seals and opens what belongs to accounts, under keys that are wrapped by the cell's root keys.

    Opened account keys stay in memory for `CACHE_SECONDS`: a key destroyed by another process stops
    working here within that time. What is sealed may be read only by `unseal`, which asks for a permit with
    a reason code and counts each opening and each refusal; `key_uses` writes the counts down.
    """

    def __init__(self, root: RootKeys) -> None:
        self.root = root
        self._cache = KeyCache()
        self._held = self._cache.held
        self._cell = root.cell
        self._categories: dict[tuple[str, str], str] = {}
        self._opened: Counter[Use] = Counter()
        self._refused: Counter[Use] = Counter()
        self._counting = threading.Lock()

    @classmethod
    def create(cls, folder: Path, cell: str, keys: str = "file") -> Self:
        """Make a new vault for the cell called `cell`.

        Args:
            folder: the cell's folder.
            cell: the cell's name.
            keys: as `CellSettings.keys`: "file", or the PKCS#11 URI of a token.

        Raises:
            VaultError: there is one already, or the back-end refuses.
        """
        if keys == "file":
            return cls(FileRootKeys.create(folder, cell))
        from lightwell.residency.key_hsm import ModuleRootKeys

        return cls(ModuleRootKeys.create(folder, cell, keys))

    @classmethod
    def open(cls, folder: Path, keys: str = "file") -> Self:
        """Open the vault that `create` made; arguments and errors as there."""
        if keys == "file":
            return cls(FileRootKeys.open(folder))
        from lightwell.residency.key_hsm import ModuleRootKeys

        return cls(ModuleRootKeys.open(folder, keys))

    @property
    def cell(self) -> str:
        """The cell whose keys these are."""
        return self._cell

    def new_account_key(self, session: WriteSession, account_id: str) -> None:
        """Make the data key of a new account, in the transaction that makes the account.

        Args:
            session: the open transaction.
            account_id: 16 hex characters; it must not have a key yet.
        """
        self.new_account_keys(session, (account_id,))

    def new_account_keys(self, session: WriteSession, account_ids: Sequence[str]) -> None:
        """Make the data keys of new accounts; as `new_account_key`, for at most `CACHE_ACCOUNTS` at once."""
        version = current_version(session)
        rows = []
        for account_id, key in zip(account_ids, _fresh_keys(len(account_ids)), strict=True):
            wrapped = self._wrap(account_id, 0, version, key)
            self._cache.keep(account_id, AESGCM(key), 0)
            wipe(key)
            row = {"account_id": account_id, "generation": 0, "cell_key": version, "wrapped": wrapped}
            rows.append(row | {"created_at": now_ms()})
        session.connection().execute(insert(AccountKey.__table__), rows)  # type: ignore[arg-type]

    def hold(self, account_id: str, generation: int, wrapped: bytes) -> None:
        """Open an account's key that the caller has just read with other things, if it is not in memory.

        Args:
            account_id: whose.
            generation, wrapped: as the account's row of `account_keys` has them at this moment.

        Raises:
            VaultError: this cell did not wrap it for that account.
        """
        held = self._held.get(account_id)
        if held is None or held[1] != generation or held[2] <= time.monotonic():
            self._open(account_id, generation, wrapped)

    def open_keys(self, session: ReadSession, account_ids: Iterable[str]) -> None:
        """Open the keys of many accounts at once, those that are not in memory; unknown ones are left out.

        Args:
            session: any session of this cell.
            account_ids: at most `CACHE_ACCOUNTS`, since no more are kept.
        """
        now = time.monotonic()
        held = self._held
        wanted = [one for one in account_ids if (found := held.get(one)) is None or found[2] <= now]
        for first in range(0, len(wanted), _KEYS_AT_ONCE):
            some = wanted[first : first + _KEYS_AT_ONCE]
            for account_id, generation, wrapped in session.connection().execute(_KEYS_OF, {"accounts": some}):
                self.hold(account_id, generation, wrapped)

    def seal(
        self, session: ReadSession, account_id: str, table: str, column: str, row: str, plaintext: bytes
    ) -> bytes:
        """Return `plaintext` sealed for one cell of one row of an account.

        Args:
            session: any session of this cell; used when the account's key is not in memory.
            account_id: whose key seals it.
            table, column, row: where it will be stored; it opens nowhere else.
            plaintext: any bytes.

        Raises:
            UnlabelledError: the place has no label.
            KeyDestroyedError: the account has no key.
        """
        if (table, column) not in self._categories:
            self._category(table, column)
        held = self._held.get(account_id)
        if held is None or held[2] <= time.monotonic():
            held = self._account_key(session, account_id)
        return seal(held[0], held[1], os.urandom(NONCE_BYTES), plaintext, self._cell, table, column, row)

    def unseal(
        self,
        permit: Permit,
        session: ReadSession,
        account_id: str,
        table: str,
        column: str,
        row: str,
        sealed: bytes,
    ) -> bytes:
        """Open what `seal` made, and count that it was opened, for whom and why.

        Args:
            permit: the decision under which it is read; only `Decider.decide` makes one. Its purpose is the
                reason code.
            session, account_id, table, column, row: as given to `seal`.
            sealed: what `seal` returned.

        Raises:
            TypeError: there is no permit.
            Refused: the permit is for another account or another category of data, gives no reason, is not
                one to read, or is a member of staff's and older than `PERMIT_MILLISECONDS`.
            KeyDestroyedError: the account has no key.
            SealError: the bytes were altered or belong to another place.
        """
        if not isinstance(permit, Permit):
            raise TypeError("a protected field is opened only under a permit")
        category = self._categories.get((table, column)) or self._category(table, column)
        use = Use(permit.kind, permit.purpose, category)
        reason = _fault(permit, account_id, category)
        if reason:
            with self._counting:
                self._refused[use] += 1
            raise Refused(reason)
        held = self._held.get(account_id)
        if held is None or held[2] <= time.monotonic():
            held = self._account_key(session, account_id)
        if generation_of(sealed) != held[1]:
            raise SealError(f"the value in {table}.{column} was sealed under another generation of its key")
        with self._counting:
            self._opened[use] += 1
        return unseal(held[0], sealed, self._cell, table, column, row)

    def take_uses(self) -> list[tuple[Use, int, int]]:
        """Return each use with how often it was opened and refused since the last call, and begin anew."""
        with self._counting:
            opened, self._opened = self._opened, Counter()
            refused, self._refused = self._refused, Counter()
        return [(use, opened[use], refused[use]) for use in sorted({*opened, *refused})]

    def blind_index(self, name: str, value: str) -> bytes:
        """Return 32 bytes that find a value without showing it.

        Args:
            name: what is indexed ("accounts.email"); the same value under another name looks unrelated.
            value: text; compared after Unicode NFKC, trimming and case folding.
        """
        return self.root.mac(name, fold(value).encode())

    def destroy(self, session: WriteSession, *account_ids: str) -> None:
        """Destroy the keys of accounts; nothing sealed for them can be opened afterwards.

        Other processes may hold the key in memory for `CACHE_SECONDS` more. `erasure.erase` also removes
        what was found by it.
        """
        session.execute(delete(AccountKey).where(among(session, AccountKey.account_id, account_ids)))
        for account_id in account_ids:
            self._cache.drop(account_id)

    def forget(self) -> None:
        """Drop every account key and every derived key held in memory."""
        self._cache.clear()
        self.root.forget()

    def signing_key(self, name: str) -> SigningKey:
        """Return the cell's Ed25519 key called "ledger" or "gateway"; raises `VaultError` for others."""
        return self.root.signing_key(name)

    def rewrap(self, account_id: str, generation: int, wrapped: bytes, version: int) -> bytes:
        """Return an account's key wrapped by another version of the cell key; the key itself stays the same.

        Args:
            account_id, generation, wrapped: as the account's row has them.
            version: of the cell key, made already.

        Raises:
            VaultError: this cell did not wrap it for that account, or a version is not there.
        """
        key = self._unwrap(account_id, generation, wrapped)
        try:
            return self._wrap(account_id, generation, version, key)
        finally:
            wipe(key)

    def _account_key(self, session: ReadSession, account_id: str) -> tuple[AESGCM, int, float]:
        row = session.execute(
            select(AccountKey.generation, AccountKey.wrapped).where(AccountKey.account_id == account_id)
        ).one_or_none()
        if row is None:
            self._cache.drop(account_id)
            raise KeyDestroyedError("the account has no key in this cell")
        return self._open(account_id, row.generation, row.wrapped)

    def _open(self, account_id: str, generation: int, wrapped: bytes) -> tuple[AESGCM, int, float]:
        key = self._unwrap(account_id, generation, wrapped)
        try:
            cipher = AESGCM(key)
        finally:
            wipe(key)
        self._cache.keep(account_id, cipher, generation)
        return cipher, generation, 0.0

    def _wrap(self, account_id: str, generation: int, version: int, key: bytearray) -> bytes:
        head = bytes((_FORMAT, version >> 8, version & 0xFF))
        return head + self.root.wrap(version, key, self._binding(account_id, generation, version))

    def _unwrap(self, account_id: str, generation: int, wrapped: bytes) -> bytearray:
        if len(wrapped) <= _WRAP_HEADER or wrapped[0] != _FORMAT:
            raise VaultError("an account key has a form that this vault does not know")
        version = int.from_bytes(wrapped[1:_WRAP_HEADER], "big")
        binding = self._binding(account_id, generation, version)
        return self.root.unwrap(version, wrapped[_WRAP_HEADER:], binding)

    def _category(self, table: str, column: str) -> str:
        category = label_of(table, column).category
        self._categories[table, column] = category
        return category

    def _binding(self, account_id: str, generation: int, version: int) -> bytes:
        head = generation.to_bytes(2, "big") + version.to_bytes(2, "big")
        return associated_data(head, "lightwell/account-key/v1", self._cell, account_id)


def _fault(permit: Permit, account_id: str, category: str) -> str:
    """Return why this permit does not open that field, or nothing."""
    if permit.owner != account_id and not permit.allows(account_id):
        return "not-yours"
    if permit.category != category and not permit.reaches(category):
        return "not-in-agreement"
    if not permit.purpose:
        return "purpose-not-agreed"
    if permit.action not in READS:
        return "not-in-agreement"
    if permit.kind == "staff" and now_ms() - permit.decided_at > PERMIT_MILLISECONDS:
        return "grant-expired"
    return ""


def _fresh_keys(count: int) -> Iterator[bytearray]:
    # Read straight into memory that can be overwritten; os.urandom would leave a copy behind.
    with open("/dev/urandom", "rb", buffering=0) as source:
        for _ in range(count):
            key = bytearray(_KEY_BYTES)
            if source.readinto(key) != _KEY_BYTES:
                raise OSError("the system gives no random bytes")
            yield key


def fold(value: str) -> str:
    """Return `value` as indexes compare it: NFKC, no surrounding space, no difference of case."""
    if value.isascii():
        return value.lower().strip()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).strip()
