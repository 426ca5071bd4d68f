"""The cell key is rotated under a serving cell: nothing is lost, whatever is killed, and the old key goes."""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, update

import lightwell.product.accounts.models  # noqa: F401  the sealed column
from lightwell.base.db import Database
from lightwell.residency import key_rotation
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Resource
from lightwell.residency.key_rotation import RotationError
from lightwell.residency.keys import KeyDestroyedError, KeyVault, VaultError
from lightwell.residency.keys_models import AccountKey, CellKey
from lightwell.wire.entries import CellKeyChanged, decode
from tests.factories.cells import found_cell
from tests.factories.ledger import all_entries

PEOPLE = [f"{number:016x}" for number in range(60)]


def seal(cell: Cell, person: str) -> bytes:
    with cell.database.read() as session:
        return cell.vault.seal(session, person, "accounts", "email", person, person.encode())


def unseal(cell: Cell, person: str, sealed: bytes, vault: KeyVault | None = None) -> str:
    permit = cell.decider.decide(
        Principal(kind="account", id=person, role="self"),
        "use_own",
        Resource(category="user.contact.email", owner=person),
    )
    with cell.database.read() as session:
        found = (vault or cell.vault).unseal(permit, session, person, "accounts", "email", person, sealed)
    return found.decode()


def states(cell: Cell) -> dict[int, tuple[str, int]]:
    with cell.database.read() as session:
        return {one.version: (one.state, one.accounts) for one in key_rotation.versions(session)}


def finish(cell: Cell) -> None:
    until = time.monotonic() + 120
    while any(state in ("retiring", "retired") for state, _ in states(cell).values()):
        key_rotation.work(cell, portion=7, pause_seconds=0)
        assert time.monotonic() < until


@pytest.fixture
def sealed(cell: Cell) -> dict[str, bytes]:
    with cell.database.write() as session:
        cell.vault.new_account_keys(session, PEOPLE)
    return {person: seal(cell, person) for person in PEOPLE}


def in_a_killed_process(folder: Path, work: Callable[[Cell], object]) -> None:
    """Do `work` with the cell in a process of its own, which is killed (-9) in the middle of it."""
    child = os.fork()
    if child == 0:
        try:
            work(Cell.open(folder))
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_rotation_keeps_everything_and_destroys_the_old_key(cell: Cell, sealed: dict[str, bytes]) -> None:
    assert key_rotation.begin(cell) == 2
    assert states(cell) == {1: ("retiring", 60), 2: ("current", 0)}
    key_rotation.work(cell, portion=25)
    assert states(cell) == {1: ("retiring", 35), 2: ("current", 25)}
    finish(cell)
    assert states(cell) == {1: ("destroyed", 0), 2: ("current", 60)}
    told = [decode(data) for data in all_entries(cell.settings, cell.database)]
    changes = [(one.change, one.version) for one in told if isinstance(one, CellKeyChanged)]
    assert changes == [("made", 2), ("destroyed", 1)]
    assert cell.vault.root.versions() == [2]
    again = Cell.open(cell.settings.folder)
    assert all(unseal(again, person, found) == person for person, found in sealed.items())
    again.close()


def test_another_process_takes_the_new_version_up_while_it_serves(
    cell: Cell, sealed: dict[str, bytes]
) -> None:
    other = Cell.open(cell.settings.folder)
    key_rotation.begin(cell)
    finish(cell)
    assert all(unseal(other, person, found) == person for person, found in sealed.items())
    with other.database.write() as session:
        other.vault.new_account_key(session, "f" * 16)
    assert states(cell)[2] == ("current", 61)
    key_rotation.forget_destroyed(other, set())
    with pytest.raises(VaultError):
        other.vault.root.wrap(1, b"k" * 32, b"")
    other.close()


def test_accounts_are_made_and_read_all_through_a_rotation(cell: Cell, sealed: dict[str, bytes]) -> None:
    ended = threading.Event()
    made: dict[str, bytes] = {}
    failed: list[BaseException] = []

    def live() -> None:
        try:
            while not ended.is_set():
                person = f"{len(made) + 1:08x}" + "e" * 8
                with cell.database.write() as session:
                    cell.vault.new_account_key(session, person)
                made[person] = seal(cell, person)
                someone = random.choice(PEOPLE)
                cell.vault.forget()
                assert unseal(cell, someone, sealed[someone]) == someone
                ended.wait(0.02)  # an embedded database has one writer at a time, and no queue
        except BaseException as error:  # noqa: BLE001  whatever it is, the test says so
            failed.append(error)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        for _ in range(2):
            key_rotation.begin(cell)
            finish(cell)
    finally:
        ended.set()
        thread.join()
    assert failed == []
    assert made
    newest = max(states(cell))
    assert states(cell)[newest] == ("current", len(PEOPLE) + len(made))
    fresh = Cell.open(cell.settings.folder)
    for person, found in {**sealed, **made}.items():
        assert unseal(fresh, person, found) == person
    fresh.close()


def test_account_made_while_its_version_retires_is_not_left_behind(
    cell: Cell, sealed: dict[str, bytes]
) -> None:
    if cell.database.is_sqlite:
        pytest.skip("one writer at a time leaves no such moment")
    holding, go_on = threading.Event(), threading.Event()

    def slow_sign_up() -> None:
        with cell.database.write() as session:
            cell.vault.new_account_key(session, "d" * 16)
            holding.set()
            go_on.wait(10)

    thread = threading.Thread(target=slow_sign_up)
    thread.start()
    assert holding.wait(10)
    rotation = threading.Thread(target=lambda: (key_rotation.begin(cell), finish(cell)))
    rotation.start()
    time.sleep(0.5)
    assert rotation.is_alive()
    go_on.set()
    thread.join()
    rotation.join()
    assert states(cell) == {1: ("destroyed", 0), 2: ("current", 61)}
    assert seal(cell, "d" * 16)


def test_sign_up_that_waits_for_a_rotation_takes_the_new_version(
    cell: Cell, sealed: dict[str, bytes]
) -> None:
    if cell.database.is_sqlite:
        pytest.skip("one writer at a time leaves no such moment")
    waiting: list[threading.Thread] = []

    def sign_up() -> None:
        with cell.database.write() as session:
            cell.vault.new_account_key(session, "c" * 16)

    with cell.database.write() as session:
        session.execute(select(CellKey).with_for_update())
        waiting.append(threading.Thread(target=sign_up))
        waiting[0].start()
        time.sleep(0.3)
        cell.vault.root.make_version(2)
        session.execute(update(CellKey).values(state="retiring"))
        session.add(CellKey(version=2, state="current", made_at=1))
    waiting[0].join()
    assert states(cell)[2] == ("current", 1)


def dies_in_work(after_keys: int = 10**6, at_commit: int = 10**6) -> Callable[[Cell], None]:
    """Return work on a rotation that is killed within a portion, or as a portion is about to be committed."""

    def work(child: Cell) -> None:
        wrapped = commits = 0
        rewrap = child.vault.rewrap

        def count_and_rewrap(*given: Any) -> bytes:
            nonlocal wrapped
            wrapped += 1
            if wrapped > after_keys:
                die()
            return rewrap(*given)

        def count_commits(connection: Connection) -> None:
            nonlocal commits
            commits += connection.get_execution_options().get("lightwell_write", False)
            if commits == at_commit:
                die()

        child.vault.rewrap = count_and_rewrap  # type: ignore[method-assign]
        event.listen(child.database.engine, "commit", count_commits)
        while True:
            key_rotation.work(child, portion=4, pause_seconds=0)

    return work


def test_rotation_killed_at_any_point_loses_nothing(cell: Cell, sealed: dict[str, bytes]) -> None:
    folder = cell.settings.folder
    key_rotation.begin(cell)
    left = []
    for work in (dies_in_work(0), dies_in_work(9), dies_in_work(at_commit=1), dies_in_work(at_commit=4)):
        in_a_killed_process(folder, work)
        left.append(states(cell)[1])
        copy = Cell.open(folder)
        assert all(unseal(copy, person, found) == person for person, found in sealed.items())
        copy.close()
    # A portion is taken over whole or not at all.
    assert left == [("retiring", 60), ("retiring", 52), ("retiring", 52), ("retiring", 40)]
    in_a_killed_process(folder, dies_in_work(at_commit=11))  # ten portions, then the change to `retired`
    assert states(cell)[1] == ("retiring", 0)
    finish(cell)
    fresh = Cell.open(folder)
    assert all(unseal(fresh, person, found) == person for person, found in sealed.items())
    fresh.close()


def test_rotation_killed_between_key_and_record_goes_on(cell: Cell, sealed: dict[str, bytes]) -> None:
    folder = cell.settings.folder

    def made_but_not_recorded(child: Cell) -> None:
        make = child.vault.root.make_version
        child.vault.root.make_version = lambda version: (make(version), die())  # type: ignore[assignment, method-assign]
        key_rotation.begin(child)

    in_a_killed_process(folder, made_but_not_recorded)
    assert (states(cell), cell.vault.root.versions()) == ({1: ("current", 60)}, [1, 2])
    assert key_rotation.begin(cell) == 2

    def destroyed_but_not_recorded(child: Cell) -> None:
        destroy = child.vault.root.destroy_version
        child.vault.root.destroy_version = lambda version: (destroy(version), die())  # type: ignore[assignment, method-assign]
        while True:
            key_rotation.work(child, pause_seconds=0)

    in_a_killed_process(folder, destroyed_but_not_recorded)
    assert (states(cell)[1], cell.vault.root.versions()) == (("retired", 0), [2])
    finish(cell)
    assert states(cell) == {1: ("destroyed", 0), 2: ("current", 60)}
    fresh = Cell.open(folder)
    assert all(unseal(fresh, person, found) == person for person, found in sealed.items())
    fresh.close()


def test_second_rotation_before_the_first_is_done_is_refused(cell: Cell, sealed: dict[str, bytes]) -> None:
    key_rotation.begin(cell)
    with pytest.raises(RotationError):
        key_rotation.begin(cell)
    assert cell.vault.root.versions() == [1, 2]


def test_old_version_is_kept_for_those_who_still_read(cell: Cell, sealed: dict[str, bytes]) -> None:
    key_rotation.begin(cell)
    while key_rotation.work(cell, pause_seconds=60):
        pass
    key_rotation.work(cell, pause_seconds=60)
    assert states(cell)[1] == ("retired", 0)
    assert cell.vault.root.versions() == [1, 2]


def test_account_erased_during_a_rotation_stays_erased(cell: Cell, sealed: dict[str, bytes]) -> None:
    key_rotation.begin(cell)
    rewrap = cell.vault.rewrap

    def erase_first(person: str, generation: int, wrapped: bytes, version: int) -> bytes:
        if person == PEOPLE[0]:
            with cell.database.write() as session:
                cell.vault.destroy(session, person)
        return rewrap(person, generation, wrapped, version)

    cell.vault.rewrap = erase_first  # type: ignore[method-assign]
    finish(cell)
    with pytest.raises(KeyDestroyedError):
        unseal(cell, PEOPLE[0], sealed[PEOPLE[0]])


def test_erased_account_does_not_come_back_from_a_backup_after_a_rotation(tmp_path: Path) -> None:
    cell = found_cell(tmp_path / "us", f"sqlite:///{tmp_path / 'cell.db'}")
    with cell.database.write() as session:
        cell.vault.new_account_keys(session, PEOPLE[:2])
    sealed = {person: seal(cell, person) for person in PEOPLE[:2]}
    cell.database.driver().execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    with cell.database.write() as session:
        cell.vault.destroy(session, PEOPLE[0])

    def from_backup() -> str:
        shutil.copy(tmp_path / "backup.db", tmp_path / "restored.db")
        restored = Database(f"sqlite:///{tmp_path / 'restored.db'}")
        permit = cell.decider.decide(
            Principal(kind="account", id=PEOPLE[0], role="self"),
            "use_own",
            Resource(category="user.contact.email", owner=PEOPLE[0]),
        )
        vault = KeyVault.open(cell.settings.folder)
        try:
            with restored.read() as session:
                place = ("accounts", "email", PEOPLE[0])
                return vault.unseal(permit, session, PEOPLE[0], *place, sealed[PEOPLE[0]]).decode()
        finally:
            restored.dispose()

    # Before a rotation the backup still holds the wrapped key: this is what the rotation is for.
    assert from_backup() == PEOPLE[0]
    key_rotation.begin(cell)
    finish(cell)
    with pytest.raises(VaultError):
        from_backup()
    assert unseal(cell, PEOPLE[1], sealed[PEOPLE[1]]) == PEOPLE[1]
    cell.close()


def test_rows_say_under_which_version_they_are_wrapped(cell: Cell, sealed: dict[str, bytes]) -> None:
    key_rotation.begin(cell)
    key_rotation.work(cell, portion=10)
    with cell.database.read() as session:
        for row in session.scalars(select(AccountKey)):
            assert int.from_bytes(row.wrapped[1:3], "big") == row.cell_key
