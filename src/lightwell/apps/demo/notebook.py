"""What the demo remembers between runs: one private JSON file in the folder of the cell it is about."""

import os
import secrets
import threading
from pathlib import Path

import msgspec


class Notes(msgspec.Struct):
    """Accounts made (handle to password), clips uploaded (key to video id), digest of the agreement adopted.

    Names, mail addresses and the like are not here: they are protected, and live sealed in the cell.
    """

    passwords: dict[str, str] = {}
    clips: dict[str, str] = {}
    agreement: str = ""


class Notebook:
    """The demo's notes about one cell, written through on every change.

    Args:
        folder: the cell's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "demo.json"
        self._lock = threading.Lock()
        self.notes = Notes()
        if self._file.exists():
            self.notes = msgspec.json.decode(self._file.read_bytes(), type=Notes)

    def password(self, handle: str) -> str | None:
        """Return the password of an account the demo has made here, or None."""
        return self.notes.passwords.get(handle)

    def remember_account(self, handle: str, password: str) -> None:
        """Note that an account was made."""
        with self._lock:
            self.notes.passwords[handle] = password
            self._write()

    def remember_clip(self, key: str, video_id: str) -> None:
        """Note that a clip was uploaded as the video `video_id`."""
        with self._lock:
            self.notes.clips[key] = video_id
            self._write()

    def forget_clip(self, key: str) -> None:
        """Take back that a clip was uploaded."""
        with self._lock:
            self.notes.clips.pop(key, None)
            self._write()

    def remember_agreement(self, digest: str) -> None:
        """Note that the agreement of this digest was adopted."""
        with self._lock:
            self.notes.agreement = digest
            self._write()

    def _write(self) -> None:
        draft = self._file.with_suffix(".json.new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self.notes)))
        draft.replace(self._file)


def fresh_password() -> str:
    """Return a password for an account of the demo: random, and short enough to type."""
    return secrets.token_hex(6)
