"""The key vault: a protected field opens only under a permit, and never again once its key is destroyed."""

import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, delete, insert, select

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.residency.decide import Permit, Refused
from lightwell.residency.key_file import FileRootKeys, RootKeys, VaultError
from lightwell.residency.keys_models import AccountKey
from lightwell.residency.labels import label_of
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

__all__ = ["OVERHEAD_BYTES", "KeyDestroyedError", "KeyVault", "SealError", "VaultError", "fold"]

CACHE_SECONDS: Final = 30.0
CACHE_ACCOUNTS: Final = 20_000
_KEYS_AT_ONCE: Final = 500
_KEYS_OF: Final = select(AccountKey.account_id, AccountKey.generation, AccountKey.wrapped).where(
    AccountKey.account_id.in_(bindparam("accounts", expanding=True))
)


class KeyDestroyedError(LookupError):
    """The account has no key: it was never made here, or the account was erased."""


class KeyVault:
    """Seals and opens what belongs to accounts, under keys that are wrapped by the cell's root keys.

    Opened account keys stay in memory for `CACHE_SECONDS`: a key destroyed by another process stops
    working here within that time. What is sealed may be read only by `unseal`, which asks for a permit.
    """

    def __init__(self, root: RootKeys) -> None:
        self._root = root
        self._opened: OrderedDict[str, tuple[AESGCM, int, float]] = OrderedDict()
        self._categories: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, cell: str) -> Self:
        """Make a new vault of files in `folder`/keys for the cell called `cell`; errors as `FileRootKeys`."""
        return cls(FileRootKeys.create(folder, cell))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the vault that `create` made in the cell's folder; errors as `FileRootKeys`."""
        return cls(FileRootKeys.open(folder))

    @property
    def cell(self) -> str:
        """The cell whose keys these are."""
        return self._root.cell

    def new_account_key(self, session: WriteSession, account_id: str) -> None:
        """Make the data key of a new account, in the transaction that makes the account.

        Args:
            session: the open transaction.
            account_id: 16 hex characters; it must not have a key yet.
        """
        self.new_account_keys(session, (account_id,))

    def new_account_keys(self, session: WriteSession, account_ids: Sequence[str]) -> None:
        """Make the data keys of new accounts; as `new_account_key`, for at most `CACHE_ACCOUNTS` at once."""
        rows, made = [], {}
        for account_id in account_ids:
            key = secrets.token_bytes(32)
            made[account_id] = AESGCM(key)
            wrapped = self._root.wrap(key, self._binding(account_id, 0))
            rows.append(
                {"account_id": account_id, "generation": 0, "wrapped": wrapped, "created_at": now_ms()}
            )
        session.connection().execute(insert(AccountKey.__table__), rows)  # type: ignore[arg-type]
        for account_id, opened in made.items():
            self._remember(account_id, opened, 0)

    def hold(self, account_id: str, generation: int, wrapped: bytes) -> None:
        """Open an account's key that the caller has just read with other things, if it is not in memory.

        Args:
            account_id: whose.
            generation, wrapped: as the account's row of `account_keys` has them at this moment.

        Raises:
            VaultError: this cell did not wrap it for that account.
        """
        held = self._opened.get(account_id)
        if held is None or held[1] != generation or held[2] <= time.monotonic():
            key = AESGCM(self._root.unwrap(wrapped, self._binding(account_id, generation)))
            self._remember(account_id, key, generation)

    def open_keys(self, session: ReadSession, account_ids: Iterable[str]) -> None:
        """Open the keys of many accounts at once, those that are not in memory; unknown ones are left out.

        Args:
            session: any session of this cell.
            account_ids: at most `CACHE_ACCOUNTS`, since no more are kept.
        """
        now = time.monotonic()
        wanted = [one for one in account_ids if one not in self._opened or self._opened[one][2] <= now]
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
        self._category(table, column)
        key, generation = self._account_key(session, account_id)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return seal(key, generation, nonce, plaintext, self._root.cell, table, column, row)

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
        """Open what `seal` made.

        Args:
            permit: the decision under which it is read; only `Decider.decide` makes one.
            session, account_id, table, column, row: as given to `seal`.
            sealed: what `seal` returned.

        Raises:
            TypeError: there is no permit.
            Refused: the permit is for another account, or for another category of data.
            KeyDestroyedError: the account has no key.
            SealError: the bytes were altered or belong to another place.
        """
        if not isinstance(permit, Permit):
            raise TypeError("a protected field is opened only under a permit")
        if not permit.allows(account_id):
            raise Refused("not-yours")
        category = self._category(table, column)
        if permit.category != category and not permit.reaches(category):
            raise Refused("not-in-agreement")
        key, generation = self._account_key(session, account_id)
        if generation_of(sealed) != generation:
            raise SealError(f"the value in {table}.{column} was sealed under another generation of its key")
        return unseal(key, sealed, self._root.cell, table, column, row)

    def blind_index(self, name: str, value: str) -> bytes:
        """Return 32 bytes that find a value without showing it.

        Args:
            name: what is indexed ("accounts.email"); the same value under another name looks unrelated.
            value: text; compared after Unicode NFKC, trimming and case folding.
        """
        return self._root.mac(name, fold(value).encode())

    def destroy(self, session: WriteSession, account_id: str) -> None:
        """Destroy the account's key; nothing sealed for the account can be opened afterwards.

        Other processes may hold the key in memory for `CACHE_SECONDS` more.
        """
        session.execute(delete(AccountKey).where(AccountKey.account_id == account_id))
        with self._lock:
            self._opened.pop(account_id, None)

    def forget(self) -> None:
        """Drop every account key held in memory."""
        with self._lock:
            self._opened.clear()

    def signing_key(self, name: str) -> SigningKey:
        """Return the cell's Ed25519 key called "ledger" or "gateway"; raises `VaultError` for others."""
        return self._root.signing_key(name)

    def _account_key(self, session: ReadSession, account_id: str) -> tuple[AESGCM, int]:
        held = self._opened.get(account_id)
        if held is not None and held[2] > time.monotonic():
            return held[0], held[1]
        row = session.execute(
            select(AccountKey.generation, AccountKey.wrapped).where(AccountKey.account_id == account_id)
        ).one_or_none()
        if row is None:
            with self._lock:
                self._opened.pop(account_id, None)
            raise KeyDestroyedError("the account has no key in this cell")
        key = AESGCM(self._root.unwrap(row.wrapped, self._binding(account_id, row.generation)))
        self._remember(account_id, key, row.generation)
        return key, row.generation

    def _category(self, table: str, column: str) -> str:
        category = self._categories.get((table, column))
        if category is None:
            category = label_of(table, column).category
            self._categories[table, column] = category
        return category

    def _remember(self, account_id: str, key: AESGCM, generation: int) -> None:
        with self._lock:
            self._opened[account_id] = (key, generation, time.monotonic() + CACHE_SECONDS)
            self._opened.move_to_end(account_id)
            while len(self._opened) > CACHE_ACCOUNTS:
                self._opened.popitem(last=False)

    def _binding(self, account_id: str, generation: int) -> bytes:
        return associated_data(
            generation.to_bytes(2, "big"), "lightwell/account-key/v1", self._root.cell, account_id
        )


def fold(value: str) -> str:
    """Return `value` as indexes compare it: NFKC, no surrounding space, no difference of case."""
    if value.isascii():
        return value.lower().strip()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).strip()
