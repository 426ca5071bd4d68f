"""Keys are in memory for a short time only, and what was opened for which reason is written down."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

import lightwell.product.accounts.models  # noqa: F401  the sealed column
from lightwell.base.clock import now_ms
from lightwell.residency import key_cache, key_uses, keys
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Refused, Resource
from lightwell.residency.key_cache import KeyCache
from lightwell.residency.keys import KeyDestroyedError
from lightwell.residency.keys_models import AccountKey, KeyUse
from tests.factories.cells import found_cell

ANA, BEN = "a" * 16, "b" * 16


@pytest.fixture
def sealed(cell: Cell) -> bytes:
    with cell.database.write() as session:
        cell.vault.new_account_keys(session, [ANA, BEN])
        return cell.vault.seal(session, ANA, "accounts", "email", ANA, b"ana@example.org")


def permit(cell: Cell, owner: str = ANA) -> Permit:
    who = Principal(kind="account", id=owner, role="self")
    return cell.decider.decide(who, "use_own", Resource(category="user.contact.email", owner=owner))


def unseal(cell: Cell, sealed: bytes, allowed: Permit) -> bytes:
    with cell.database.read() as session:
        return cell.vault.unseal(allowed, session, ANA, "accounts", "email", ANA, sealed)


def forged(like: Permit, **changed: object) -> Permit:
    # No decider makes these; a vault that would take them is one guard less.
    copy = object.__new__(Permit)
    for name in Permit.__slots__:
        object.__setattr__(copy, name, changed.get(name, getattr(like, name)))
    return copy


def test_key_is_dropped_after_its_time_though_nobody_asks_again() -> None:
    cache = KeyCache(seconds=0.1)
    cache.keep(ANA, object(), 0)  # type: ignore[arg-type]
    assert cache.held
    until = time.monotonic() + 60
    while cache.held and time.monotonic() < until:
        time.sleep(0.02)
    assert not cache.held


def test_cache_holds_no_more_than_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "CACHE_ACCOUNTS", 3)
    cache = KeyCache()
    for person in "abcde":
        cache.keep(person, object(), 0)  # type: ignore[arg-type]
    assert list(cache.held) == ["c", "d", "e"]
    cache.clear()


def test_key_destroyed_by_another_process_stops_working_here_when_its_time_is_over(
    cell: Cell, sealed: bytes
) -> None:
    other = Cell.open(cell.settings.folder)
    assert unseal(other, sealed, permit(other)) == b"ana@example.org"
    with cell.database.write() as session:
        cell.vault.destroy(session, ANA)
    cipher, generation, _ = other.vault._held[ANA]
    other.vault._held[ANA] = (cipher, generation, time.monotonic())
    with pytest.raises(KeyDestroyedError):
        unseal(other, sealed, permit(other))
    other.close()


def test_no_copy_of_an_account_key_stays_in_memory_after_it_is_forgotten(tmp_path: Path) -> None:
    """Looks through all memory of a process that opened a field and then forgot its keys."""
    if not Path("/proc/self/mem").exists():
        pytest.skip("there is no /proc to look at another process's memory")
    cell = found_cell(tmp_path / "us", f"sqlite:///{tmp_path / 'cell.db'}")
    with cell.database.write() as session:
        cell.vault.new_account_key(session, ANA)
        sealed = cell.vault.seal(session, ANA, "accounts", "email", ANA, b"ana@example.org")
        row = session.scalars(select(AccountKey)).one()
        raw = bytes(cell.vault._unwrap(ANA, row.generation, row.wrapped))
    code = (
        "import sys, pathlib, gc\n"
        "import lightwell.product.accounts.models\n"
        "from lightwell.residency.cell import Cell\n"
        "from lightwell.residency.decide import Principal, Resource\n"
        "cell = Cell.open(pathlib.Path(sys.argv[1])); ana = 'a' * 16\n"
        "permit = cell.decider.decide(Principal(kind='account', id=ana, role='self'), 'use_own',\n"
        "    Resource(category='user.contact.email', owner=ana))\n"
        "with cell.database.read() as session:\n"
        "    cell.vault.unseal(permit, session, ana, 'accounts', 'email', ana, bytes.fromhex(sys.argv[2]))\n"
        "print('open', flush=True); sys.stdin.readline()\n"
        "cell.vault.forget(); gc.collect()\n"
        "print('forgotten', flush=True); sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(cell.settings.folder), sealed.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        while_open = count_in_memory(child.pid, raw)
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "forgotten\n"
        afterwards = count_in_memory(child.pid, raw)
        child.stdin.write("\n")
    cell.close()
    assert while_open >= 1  # the cipher's own copy: the search does find keys
    assert afterwards == 0


def test_raw_key_is_overwritten_as_soon_as_its_cipher_is_made(
    cell: Cell, sealed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bytearray] = []

    def note(key: bytearray) -> AESGCM:
        assert any(key)
        given.append(key)
        return AESGCM(key)

    monkeypatch.setattr(keys, "AESGCM", note)
    cell.vault.forget()
    assert unseal(cell, sealed, permit(cell)) == b"ana@example.org"
    with cell.database.write() as session:
        cell.vault.new_account_key(session, "c" * 16)
    assert given == [bytearray(32), bytearray(32)]


def count_in_memory(pid: int, secret: bytes) -> int:
    found = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            where, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in where.split("-"))
            try:
                memory.seek(start)
                found += memory.read(end - start).count(secret)
            except (OSError, OverflowError, ValueError):
                continue
    return found


def test_each_opening_is_written_down_with_its_reason(cell: Cell, sealed: bytes) -> None:
    for _ in range(3):
        unseal(cell, sealed, permit(cell))
    with pytest.raises(Refused):
        unseal(cell, sealed, permit(cell, BEN))
    assert key_uses.write_down(cell) == 1
    unseal(cell, sealed, permit(cell))
    key_uses.write_down(cell)
    assert key_uses.write_down(cell) == 0
    with cell.database.read() as session:
        rows = session.scalars(select(KeyUse)).all()
    assert {(r.process, r.kind, r.reason, r.category) for r in rows} == {
        ("cell", "account", "own_account", "user.contact.email")
    }
    assert (sum(r.opened for r in rows), sum(r.refused for r in rows)) == (4, 1)


def test_permit_without_a_reason_opens_nothing(cell: Cell, sealed: bytes) -> None:
    with pytest.raises(Refused) as refused:
        unseal(cell, sealed, forged(permit(cell), purpose=""))
    assert refused.value.reason == "purpose-not-agreed"


@pytest.mark.parametrize("action", ["ask", "approve", "cross", "ask_aggregate"])
def test_permit_to_do_something_else_than_read_opens_nothing(cell: Cell, sealed: bytes, action: str) -> None:
    with pytest.raises(Refused):
        unseal(cell, sealed, forged(permit(cell), action=action))


def test_permit_of_staff_opens_only_right_after_its_decision(cell: Cell, sealed: bytes) -> None:
    fresh = forged(permit(cell), kind="staff", action="read_granted", decided_at=now_ms())
    assert unseal(cell, sealed, fresh) == b"ana@example.org"
    with pytest.raises(Refused) as refused:
        unseal(cell, sealed, forged(fresh, decided_at=now_ms() - 6000))
    assert refused.value.reason == "grant-expired"
