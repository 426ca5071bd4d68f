"""Everything the oversight server does by itself: one thread a cell follows, one thread judges the terms."""

import contextlib
import secrets
import threading
import time
from pathlib import Path
from typing import Final

import httpx

from lightwell.agreement.evidence import Evidence
from lightwell.agreement.terms import TermStatus, evaluate
from lightwell.oversight import adopted, audits, transfers
from lightwell.oversight.follow import Expected, Follower
from lightwell.oversight.ranking_policies import PolicyWatch
from lightwell.oversight.reading import UnreachableError, http_reader
from lightwell.oversight.settings import OversightSettings, SettingsError, WatchedCell
from lightwell.oversight.store import Store
from lightwell.oversight.views import Crosscheck
from lightwell.oversight.witness import Witness
from lightwell.wire import trust
from lightwell.wire.entries import EntryError, decode
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, NoteError, SigningKey, Verifier
from lightwell.wire.trust import TrustError, TrustPolicy

WITNESS_KEY: Final = "keys/witness.key"
WITNESS_MLDSA_KEY: Final = "keys/witness-mldsa.key"
_JUDGE_SECONDS: Final = 1.0
_JUDGE_AGAIN_SECONDS: Final = 2


class WatchedLedger:
    """What the monitor keeps in memory of one cell: who signs for it, how following goes, how terms stand."""

    def __init__(
        self, store: Store, seat: WatchedCell, client: httpx.Client, settings: OversightSettings
    ) -> None:
        """Parse the cell's keys and policy; NoteError, TrustError or OSError if one is not to be read."""
        self.seat = seat
        self.cell = seat.cell
        self.origin = f"lightwell/{seat.cell}"
        self.verifier = Verifier.from_vkey(seat.ledger_vkey)
        self.cleanroom = Verifier.from_vkey(seat.cleanroom_vkey) if seat.cleanroom_vkey else None
        if self.verifier.algorithm == COSIGNATURE:
            raise NoteError(f"the ledger key of {seat.cell} is of type 0x04, which no log's is")
        expected = Expected(
            clock_grace_seconds=settings.clock_grace_seconds,
            shuffled=seat.shuffled,
            policy=_read_policy(settings.folder / seat.policy, self.verifier) if seat.policy else None,
        )
        read = http_reader(client, seat.url)
        self.follower = Follower(store, seat.cell, self.origin, self.verifier, read, expected)
        self.crosscheck = Crosscheck(store, seat.cell, settings.view_grace_seconds)
        self.evidence = Evidence()
        self.fed = 0
        self.outcomes: dict[int, str] = {}
        self.outcomes_at = 0.0
        self.terms: list[TermStatus] = []
        self.judged_by: tuple[object, ...] = ()


class Monitor:
    """The oversight server's state and threads; `start` once, `stop` once."""

    def __init__(self, settings: OversightSettings) -> None:
        """Open the store and the keys.

        Raises:
            SettingsError: a key of the witness, or a cell's key or policy, is missing or malformed.
        """
        self.settings = settings
        self.store = Store(settings.database)
        self.client = httpx.Client(timeout=10, limits=httpx.Limits(max_connections=20))
        try:
            self.ledgers = {
                seat.cell: WatchedLedger(self.store, seat, self.client, settings) for seat in settings.cells
            }
            keys = read_witness_keys(settings.folder)
        except (NoteError, TrustError, OSError) as error:
            raise SettingsError(f"{settings.folder}: {error}") from error
        self.witness_vkeys = frozenset(key.verifier().vkey() for key in keys)
        self.witness = Witness(
            self.store,
            keys,
            {cell: (ledger.origin, ledger.verifier) for cell, ledger in self.ledgers.items()},
        )
        self.board = [read_key(file) for file in sorted((settings.folder / "keys").glob("board-*.key"))]
        self.started_at = time.time()
        self._stop = threading.Event()
        self._judging = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start following and judging."""
        self._threads = [
            threading.Thread(target=self._follow, args=(ledger,), name=f"follow-{cell}", daemon=True)
            for cell, ledger in self.ledgers.items()
        ]
        self._threads.append(threading.Thread(target=self._judge_on, name="judge", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop all threads and close what is open; what was followed is durable already."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self.client.close()
        self.store.close()

    def judge(self, cell: str) -> list[TermStatus]:
        """Return how each term stands by all that is followed now; empty without an agreement."""
        with self._judging:
            for ledger in self.ledgers.values():
                self._feed(ledger)
            return self._evaluate(self.ledgers[cell])

    def request_audit(self, cell: str) -> str:
        """Ask the clean room and our own follower to read everything again, and return the audit's id.

        Raises:
            VerdictError: another was asked for a moment ago.
        """
        run = secrets.token_hex(8)
        audits.want_audit(self.store, cell, run)
        return run

    # --- threads

    def _follow(self, ledger: WatchedLedger) -> None:
        policies = PolicyWatch(self.store, ledger.cell, ledger.seat.url, self.client)
        while not self._stop.is_set():
            try:
                ledger.follower.poll()
                ledger.crosscheck.check(ledger.follower.status)
                adopted.refresh(self.store, ledger.cell, ledger.seat.url, self.client)
                policies.check()
                self._audit_files(ledger)
            except Exception as error:  # noqa: BLE001  the thread must live; the page shows what stopped it
                ledger.follower.status.trouble = f"Following failed ({type(error).__name__}: {error})."
            self._stop.wait(self.settings.poll_seconds)

    def _audit_files(self, ledger: WatchedLedger) -> None:
        row = self.store.row(
            """SELECT run FROM runs WHERE cell = ? AND run <> 'live' AND tiles_done_at IS NULL
            ORDER BY wanted_at DESC LIMIT 1""",
            ledger.cell,
        )
        if row is None:
            return
        try:
            problems = ledger.follower.audit()
        except UnreachableError:
            return
        audits.raise_file_findings(self.store, ledger.cell, problems, "monitor")
        with self.store.write() as db:
            # Older audits that nobody finished were answered by this one too.
            db.execute(
                """UPDATE runs SET tiles_done_at = ? WHERE cell = ? AND tiles_done_at IS NULL AND wanted_at <=
                (SELECT wanted_at FROM runs WHERE cell = ? AND run = ?)""",
                (time.time(), ledger.cell, ledger.cell, row["run"]),
            )

    def _judge_on(self) -> None:
        while not self._stop.wait(_JUDGE_SECONDS):
            for cell, ledger in self.ledgers.items():
                try:
                    self.judge(cell)
                    self._pair(ledger)
                except Exception as error:  # noqa: BLE001  as above
                    ledger.follower.status.trouble = f"Judging failed ({type(error).__name__}: {error})."

    def _pair(self, ledger: WatchedLedger) -> None:
        now = time.time()
        followed = {
            cell
            for cell, other in self.ledgers.items()
            if now - other.follower.status.checked_at < 10 * self.settings.poll_seconds
        }
        held = adopted.adopted(self.store, ledger.cell)
        grace = (
            held.agreement.limits.transfer_pairing_seconds.value
            if held
            else self.settings.transfer_grace_seconds
        )
        transfers.raise_unpaired(self.store, ledger.cell, followed, grace)

    # --- terms

    def _feed(self, ledger: WatchedLedger) -> None:
        while True:
            rows = (
                self.store.entries(ledger.cell, start=ledger.fed, limit=5000) if self._behind(ledger) else []
            )
            for row in rows:
                # A malformed entry is in the tree and raised as a finding; it proves nothing.
                with contextlib.suppress(EntryError):
                    ledger.evidence.add(row["idx"], decode(row["data"]))
                ledger.fed = row["idx"] + 1
            if len(rows) < 5000:
                break
        for row in self.store.rows(
            "SELECT idx, outcome, at FROM verdicts WHERE cell = ? AND run = '' AND at >= ?",
            ledger.cell, ledger.outcomes_at,
        ):  # fmt: skip
            ledger.outcomes[row["idx"]] = row["outcome"]
            ledger.outcomes_at = max(ledger.outcomes_at, row["at"])

    def _behind(self, ledger: WatchedLedger) -> bool:
        head = self.store.head(ledger.cell)
        return head is not None and ledger.fed < head.size

    def _evaluate(self, ledger: WatchedLedger) -> list[TermStatus]:
        held = adopted.adopted(self.store, ledger.cell)
        if held is None:
            ledger.terms = []
            return []
        now = int(time.time())
        # Time alone can breach a term (an order not obeyed, a transfer alone), so judge again now and then.
        judged_by = (
            held.digest,
            held.index,
            tuple(other.fed for other in self.ledgers.values()),
            ledger.outcomes_at,
            now // _JUDGE_AGAIN_SECONDS,
        )
        if judged_by == ledger.judged_by:
            return ledger.terms
        ledger.judged_by = judged_by
        region = ledger.cell if ledger.cell in held.agreement.region_ids() else held.agreement.law_region
        ledger.terms = evaluate(
            held.agreement,
            ledger.evidence,
            ledger.outcomes,
            region=region,
            peers={cell: other.evidence for cell, other in self.ledgers.items() if cell != ledger.cell},
            roster=held.seats,
            now=now,
            cell=ledger.cell,
            held=adopted.held(self.store, ledger.cell),
        )
        return ledger.terms


def read_witness_keys(folder: Path) -> list[SigningKey]:
    """Read the witness's keys: the Ed25519 one, and the ML-DSA-44 one of the same name if there is one.

    Raises:
        SettingsError: the first is missing, or one is malformed.
        NoteError: a key is of another type than its file is for, or the two are named differently.
    """
    keys = [read_key(folder / WITNESS_KEY)]
    if (folder / WITNESS_MLDSA_KEY).exists():
        keys.append(read_key(folder / WITNESS_MLDSA_KEY))
    types = ((WITNESS_KEY, COSIGNATURE), (WITNESS_MLDSA_KEY, MLDSA_COSIGNATURE))
    for key, (file, algorithm) in zip(keys, types, strict=False):
        if key.verifier().algorithm != algorithm:
            raise NoteError(f"{file} is not a cosigner's key of type 0x{algorithm:02x}")
        if key.name != keys[0].name:
            raise NoteError(f"{file} is named {key.name!r}, not {keys[0].name!r}: one witness has one name")
    return keys


def _read_policy(file: Path, ledger: Verifier) -> TrustPolicy:
    policy = trust.parse(file.read_bytes())
    if ledger not in {known.verifier for known in policy.logs}:
        raise TrustError(f"{file.name}: it names no log with the ledger's key")
    return policy


def read_key(file: Path) -> SigningKey:
    """Read a signing key from a file that only its owner should be able to read.

    Raises:
        SettingsError: no such file, or not a key; its text is never repeated.
    """
    try:
        return SigningKey.from_text(file.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError, NoteError) as error:
        raise SettingsError(f"{file}: no signing key can be read from it ({type(error).__name__})") from error
