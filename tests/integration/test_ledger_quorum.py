"""A checkpoint is public only with its quorum of witnesses, and the ledger says what it waits for."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings, SettingsError
from lightwell.ledger.assignment import WAITING_BATCHES, published
from lightwell.ledger.places import integrated
from lightwell.ledger.queue import enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.ledger.storage import open_storage
from lightwell.wire import merkle, trust
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.entries import PolicyAdopted
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, SigningKey
from lightwell.wire.trust import Group, Known, TrustPolicy
from tests.factories.ledger import published_entries
from tests.factories.witness import MemoryWitness, serving

KEY = SigningKey.generate("lightwell/us", bytes(32))
ONE = SigningKey.generate("one.example", bytes([1]) * 32, COSIGNATURE)
TWO = SigningKey.generate("two.example", bytes([2]) * 32, COSIGNATURE)
TWO_MLDSA = SigningKey.generate("two.example", bytes([3]) * 32, MLDSA_COSIGNATURE)


@pytest.fixture
def witnesses() -> Iterator[tuple[MemoryWitness, MemoryWitness]]:
    first, second = MemoryWitness(KEY.verifier(), ONE), MemoryWitness(KEY.verifier(), TWO, TWO_MLDSA)
    with serving(first) as one, serving(second) as two:
        yield one, two


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.create_all()
    yield opened
    opened.dispose()


def policy_of(one: MemoryWitness, two: MemoryWitness, threshold: int) -> TrustPolicy:
    known = {
        "one": Known(ONE.verifier(), one.url),
        "two": Known(TWO.verifier(), two.url),
        "two-quantum": Known(TWO_MLDSA.verifier(), two.url),
    }
    groups = {"second": Group(2, ("two", "two-quantum")), "quorum": Group(threshold, ("one", "second"))}
    return TrustPolicy("quorum", (Known(KEY.verifier()),), known, groups)


@pytest.fixture
def settings(tmp_path: Path) -> CellSettings:
    folder = tmp_path / "us"
    folder.mkdir()
    return CellSettings(cell="us", region="us", url="", folder=folder, ledger_policy="ledger.policy")


def queue(database: Database, count: int, first: int = 0) -> list[bytes]:
    with database.write() as session:
        return enqueue_many(
            session, (PolicyAdopted(at=first + n, digest="ab" * 32, approvals=1) for n in range(count))
        )


def soon(sequencer: Sequencer) -> Checkpoint:
    """Run until a checkpoint is published: a witness that was down is asked again only after a pause."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        checkpoint = sequencer.run_once()
        if checkpoint is not None:
            return checkpoint
        time.sleep(0.02)
    raise AssertionError("nothing was published")


def note(settings: CellSettings) -> str:
    return settings.path("ledger/checkpoint").read_text()


def test_a_checkpoint_is_public_only_with_its_quorum(
    witnesses: tuple[MemoryWitness, MemoryWitness], settings: CellSettings, database: Database
) -> None:
    one, two = witnesses
    policy = policy_of(one, two, 2)
    settings.path("ledger.policy").write_text(policy.text())
    sequencer = Sequencer(settings, database, KEY)
    leaves = queue(database, 10)
    first = sequencer.run_once()
    assert first is not None
    assert policy.open(note(settings)).checkpoint == first
    before = note(settings)
    two.is_down = True
    leaves += queue(database, 10, 10)
    assert sequencer.run_once() is None
    assert sequencer.run_once() is None
    assert note(settings) == before
    with database.read() as session:
        state = published(session)
        assert state is not None
        assert "no quorum" in state.waits_for
        assert "two" in state.waits_for
        assert integrated(session, leaves[10:]) == {}
    two.is_down = False
    second = soon(sequencer)
    opened = policy.open(note(settings))
    assert opened.checkpoint == second
    assert policy.cosigners(opened) == ("one", "two", "two-quantum")
    with database.read() as session:
        state = published(session)
        assert state is not None
        assert state.waits_for == ""
        assert integrated(session, [leaves[15]]) == {leaves[15]: 15}
    sequencer.close()


def test_one_witness_that_is_down_does_not_stop_a_quorum_of_one(
    witnesses: tuple[MemoryWitness, MemoryWitness], settings: CellSettings, database: Database
) -> None:
    one, two = witnesses
    one.is_down = True
    policy = policy_of(one, two, 1)
    settings.path("ledger.policy").write_text(policy.text())
    sequencer = Sequencer(settings, database, KEY)
    queue(database, 3)
    assert sequencer.run_once() is not None
    assert policy.cosigners(policy.open(note(settings))) == ("two", "two-quantum")
    # Back again, it is on the newest checkpoint though nothing new was queued.
    one.is_down = False
    assert soon(sequencer).size == 3
    assert policy.cosigners(policy.open(note(settings))) == ("one", "two", "two-quantum")
    sequencer.close()


def test_what_waits_for_a_quorum_survives_a_restart_and_keeps_its_order(
    witnesses: tuple[MemoryWitness, MemoryWitness], settings: CellSettings, database: Database
) -> None:
    one, two = witnesses
    settings.path("ledger.policy").write_text(policy_of(one, two, 2).text())
    one.is_down = True
    leaves: list[bytes] = []
    for turn in range(WAITING_BATCHES + 3):
        sequencer = Sequencer(settings, database, KEY)
        leaves += queue(database, 20, 20 * turn)
        assert sequencer.run_once() is None
        sequencer.close()
    assert not settings.path("ledger/checkpoint").exists()
    one.is_down = False
    sequencer = Sequencer(settings, database, KEY)
    # The batches that were taken are public at once; what was left in the queue follows.
    while soon(sequencer).size < len(leaves):
        pass
    sequencer.close()
    found = [merkle.leaf_hash(data) for data in published_entries(open_storage(settings))]
    assert found == leaves


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("quorum nobody\n", "line 1"),
        (f"witness w {ONE.verifier().vkey()}\nquorum w\n", "never be met"),
        ("", "no quorum line"),
        (None, "No such file"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_at_the_start(
    text: str | None, what: str, settings: CellSettings, tmp_path: Path
) -> None:
    if text is not None:
        settings.path("ledger.policy").write_text(text)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(SettingsError, match=what):
        Sequencer(settings, database, KEY)
    assert trust.of_keys(KEY.verifier()).satisfied(())
