"""The partner's process inside a cell: it reads slate records, replays every slate, lets out verdicts."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import msgspec

from lightwell.oversight.explained import ExplainError, OpenedSlate, open_slate
from lightwell.oversight.follow import Follower
from lightwell.oversight.reading import UnreachableError, http_reader
from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.oversight.settings import CleanRoomSettings, SettingsError
from lightwell.oversight.store import Store
from lightwell.oversight.verdicts import LIVE, Verdict, VerdictBatch
from lightwell.oversight.withdrawals import OpenedWithdrawal, Withdrawals
from lightwell.wire import signed_request
from lightwell.wire.entries import SlateServed, VideoWithdrawn, decode
from lightwell.wire.keys import NoteError, SigningKey, Verifier

BATCH: Final = 100
"""Records asked for at once; the cell allows no more."""
_SPAN: Final = 20_000
_TRIES: Final = 3
_INDEX_DIGITS: Final = 15

Slates = list[tuple[int, SlateServed]]


class _Records(msgspec.Struct):
    records: list[SlateRecord]
    missing: list[str] = []


_decode_records = msgspec.json.Decoder(_Records).decode


class _Withdrawals(msgspec.Struct):
    withdrawals: list[OpenedWithdrawal]


_decode_withdrawals = msgspec.json.Decoder(_Withdrawals).decode


class _BrokenAnswer(ConnectionError):  # noqa: N818  answered, but with a server error
    """The cell answered with a server error, which one record it cannot open may cause."""


class CleanRoom:
    """Follows the cell's ledger by itself, replays each slate it names and posts signed verdicts."""

    def __init__(self, settings: CleanRoomSettings, client: httpx.Client | None = None) -> None:
        """Open the folder's key and position.

        Raises:
            SettingsError: the key is missing or malformed.
        """
        self.settings = settings
        self.cell = settings.cell
        try:
            self._key = SigningKey.from_text((settings.folder / settings.key).read_text("ascii"))
            verifier = Verifier.from_vkey(settings.ledger_vkey)
        except (OSError, NoteError) as error:
            raise SettingsError(f"{settings.folder}: {error}") from error
        self._client = client or httpx.Client(timeout=30)
        self.store = Store(settings.database)
        self.follower = Follower(
            self.store, self.cell, f"lightwell/{self.cell}", verifier, http_reader(self._client, settings.url)
        )
        self._sources = Sources(self._fetch_source)
        self._withdrawals = Withdrawals(shuffled=settings.shuffled)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="records")

    def run(self, stop: threading.Event) -> None:
        """Replay until `stop` is set; a cell or a monitor that is away is waited for."""
        while not stop.is_set():
            try:
                worked = self.step()
            except ConnectionError:
                # Nothing is lost: the position moves only when the monitor has taken the verdicts.
                worked = False
                stop.wait(1)
            if not worked:
                stop.wait(self.settings.poll_seconds)
        self._ahead.shutdown(wait=False, cancel_futures=True)

    def step(self) -> bool:
        """Follow, replay what is new, then do the audit the monitor wants; return whether there was work.

        Raises:
            ConnectionError: the cell or the monitor cannot be reached.
        """
        self.follower.poll()
        worked = self._replay_new()
        wanted = self._wanted()
        if wanted is not None:
            self.audit(wanted)
            worked = True
        return worked

    def audit(self, run: str) -> None:
        """Read the whole ledger and every record again and post a verdict on each slate.

        Args:
            run: the id under which the monitor asked for it.

        Raises:
            ConnectionError: the cell or the monitor cannot be reached; the audit is done again then.
        """
        self._sources.forget()
        self._withdrawals = Withdrawals(shuffled=self.settings.shuffled)
        problems = self.follower.audit()
        head = self.store.head(self.cell)
        size = head.size if head else 0
        for stop, verdicts in self._judge_from(0, size):
            self._post(VerdictBatch(cell=self.cell, run=run, audited_size=stop, verdicts=verdicts))
        self._post(
            VerdictBatch(
                cell=self.cell,
                run=run,
                audited_size=size,
                problems=problems[:1000],
                unopened_withdrawals=self._withdrawals.unopened[:1000],
                done=True,
            )
        )

    def open(self, slate: str) -> OpenedSlate:
        """Open the record of one slate of the followed ledger, for inside the clean room only.

        Args:
            slate: its commitment in hex, or the index of its entry.

        Raises:
            ExplainError: no such slate is followed, or its record cannot be opened.
            ConnectionError: the cell cannot be reached.
        """
        found = self._find(slate)
        if found is None:
            raise ExplainError(f"no slate {slate[:64]!r} in the ledger as followed by this clean room")
        records = self._ask_records([found[1].commitment])
        head = self.store.head(self.cell)
        self._learn_withdrawals(head.size if head else 0)
        record = records.get(found[1].commitment)
        return open_slate(*found, record, self._sources, self.cell, self._withdrawals)

    def _find(self, slate: str) -> tuple[int, SlateServed] | None:
        is_index = slate.isascii() and slate.isdigit() and len(slate) <= _INDEX_DIGITS
        where, value = ("idx = ?", int(slate)) if is_index else ("instr(data, ?)", slate.encode())
        rows = self.store.rows(
            f"SELECT idx, data FROM entries WHERE cell = ? AND kind = 'SlateServed' AND {where}",  # noqa: S608  no value
            self.cell, value,
        )  # fmt: skip
        for row in rows:
            entry = decode(row["data"])
            if isinstance(entry, SlateServed) and (is_index or entry.commitment == slate):
                return row["idx"], entry
        return None

    # --- slates

    def _replay_new(self) -> bool:
        head = self.store.head(self.cell)
        start = self.store.number("SELECT idx FROM position WHERE cell = ?", self.cell)
        if head is None or start >= head.size:
            return False
        for stop, verdicts in self._judge_from(start, head.size):
            self._post(
                VerdictBatch(
                    cell=self.cell,
                    run=LIVE,
                    audited_size=stop,
                    verdicts=verdicts,
                    checkpoint=head.note,
                    unopened_withdrawals=self._withdrawals.unopened[:1000],
                )
            )
            self._keep_position(stop)
        return True

    def _judge_from(self, start: int, size: int) -> Iterator[tuple[int, list[Verdict]]]:
        """Yield verdicts with the size up to which they are whole; records are fetched one batch ahead."""
        self._learn_withdrawals(size)
        batches = self._batches(start, size)
        following = next(batches, None)
        fetched = self._ahead.submit(self._records, following[1]) if following else None
        while following is not None and fetched is not None:
            stop, slates = following
            records = fetched.result()
            following = next(batches, None)
            fetched = self._ahead.submit(self._records, following[1]) if following else None
            yield stop, judge(slates, records, self._sources, self.cell, self._withdrawals)

    def _batches(self, start: int, size: int) -> Iterator[tuple[int, Slates]]:
        while start < size:
            stop = min(size, start + _SPAN)
            rows = self.store.rows(
                """SELECT idx, data FROM entries WHERE cell = ? AND kind = 'SlateServed'
                AND idx >= ? AND idx < ? ORDER BY idx LIMIT ?""",
                self.cell, start, stop, BATCH,
            )  # fmt: skip
            if len(rows) == BATCH:
                stop = rows[-1]["idx"] + 1
            slates = [
                (row["idx"], entry) for row in rows if isinstance(entry := decode(row["data"]), SlateServed)
            ]
            yield stop, slates
            start = stop

    def _learn_withdrawals(self, size: int) -> None:
        """Learn what the withdrawals among the first `size` entries take back, those not known yet."""
        while self._withdrawals.size < size:
            rows = self.store.rows(
                """SELECT idx, data FROM entries WHERE cell = ? AND kind = 'VideoWithdrawn'
                AND idx >= ? AND idx < ? ORDER BY idx LIMIT ?""",
                self.cell, self._withdrawals.size, size, BATCH,
            )  # fmt: skip
            found = [
                (row["idx"], entry)
                for row in rows
                if isinstance(entry := decode(row["data"]), VideoWithdrawn)
            ]
            opened = self._ask_withdrawals([entry.commitment for _, entry in found]) if found else []
            self._withdrawals.take(found, opened, rows[-1]["idx"] + 1 if len(rows) == BATCH else size)

    def _ask_withdrawals(self, commitments: list[str]) -> list[OpenedWithdrawal]:
        raw = self._get(f"/cleanroom/withdrawals?commitments={','.join(commitments)}")
        try:
            return _decode_withdrawals(raw or b"").withdrawals
        except msgspec.DecodeError as error:
            raise _BrokenAnswer(str(error)) from error

    def _records(self, slates: Slates) -> dict[str, SlateRecord]:
        """Fetch the records of a batch; one that the cell fails on is asked for alone and then left out."""
        commitments = [entry.commitment for _, entry in slates]
        if not commitments:
            return {}
        try:
            return self._ask_records(commitments)
        except _BrokenAnswer:
            found: dict[str, SlateRecord] = {}
            for commitment in commitments:
                for attempt in range(_TRIES):
                    try:
                        found |= self._ask_records([commitment])
                        break
                    except _BrokenAnswer:
                        time.sleep(0.1 * attempt)
            if not found and len(commitments) > 1:
                # Not one record but the cell is broken: no verdict, try again later.
                raise
            return found

    def _ask_records(self, commitments: list[str]) -> dict[str, SlateRecord]:
        raw = self._get(f"/cleanroom/records?commitments={','.join(commitments)}")
        try:
            answer = _decode_records(raw or b"")
        except msgspec.DecodeError as error:
            raise _BrokenAnswer(str(error)) from error
        return {record.commitment: record for record in answer.records}

    def _fetch_source(self, kind: str, digest: str) -> bytes | None:
        for attempt in range(_TRIES):
            try:
                return self._get(f"/cleanroom/{kind}/{digest}")
            except _BrokenAnswer:
                time.sleep(0.1 * attempt)
        return None

    # --- talking

    def _get(self, path: str) -> bytes | None:
        answer = self._send(self._client.get, self.settings.url, "GET", path, b"")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _BrokenAnswer(f"status {answer.status_code}")
        if answer.status_code != httpx.codes.OK:
            raise UnreachableError(f"status {answer.status_code}")
        return answer.content

    def _wanted(self) -> str | None:
        answer = self._send(
            self._client.get, self.settings.oversight_url, "GET", f"/api/audit?cell={self.cell}", b""
        )
        if answer.status_code != httpx.codes.OK:
            raise UnreachableError(f"status {answer.status_code}")
        run: str | None = answer.json()["run"]
        return run

    def _post(self, batch: VerdictBatch) -> None:
        """Post a batch, again while the monitor is a moment behind in following.

        Raises:
            UnreachableError: the monitor did not take it.
        """
        body = msgspec.json.encode(batch)
        for attempt in range(60):
            answer = self._send(
                self._client.post, self.settings.oversight_url, "POST", "/api/verdicts", body, content=body
            )
            if answer.status_code < httpx.codes.BAD_REQUEST:
                return
            if "not-replayed" in answer.text and batch.run == LIVE:
                self._go_back()
            if answer.status_code != httpx.codes.CONFLICT or "not-yet-followed" not in answer.text:
                break
            time.sleep(min(0.1 * (attempt + 1), 1))
        raise UnreachableError(f"the monitor answered {answer.status_code}: {answer.text[:200]}")

    def _go_back(self) -> None:
        """Take the monitor's position: it has lost verdicts that it took, so they are given again."""
        path = f"/api/cells/{self.cell}/replay"
        answer = self._send(self._client.get, self.settings.oversight_url, "GET", path, b"")
        if answer.status_code == httpx.codes.OK:
            self._keep_position(int(answer.json()["live_size"]))

    def _keep_position(self, index: int) -> None:
        with self.store.write() as db:
            db.execute("INSERT OR REPLACE INTO position (cell, idx) VALUES (?, ?)", (self.cell, index))

    def _send(
        self, call: Callable[..., httpx.Response], url: str, method: str, path: str, body: bytes, **rest: Any
    ) -> httpx.Response:
        headers = signed_request.headers(
            self._key, method, path, hashlib.sha256(body).hexdigest(), int(time.time())
        )
        if body:
            headers["Content-Type"] = "application/json"
        try:
            return call(url + path, headers=headers, **rest)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{url}: {type(error).__name__}") from error
