"""Asks each witness to cosign a checkpoint; one that is down costs a missing line and little time."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import httpx

from lightwell.base.telemetry import log
from lightwell.wire import decimal_strict, merkle, witnessing
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.keys import NoteError, Signature, Verifier
from lightwell.wire.merkle import Node
from lightwell.wire.note import parse_signatures
from lightwell.wire.trust import TrustPolicy

_log = log("ledger.witnesses")

ANSWER_SECONDS = 1.0
"""A witness that takes longer is counted as down."""
GRACE_SECONDS = 0.3
"""Once there is a quorum, the others have this long to be on the same checkpoint."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.25, 5.0
"""A witness that is down is asked again after a pause that doubles: it does not slow each checkpoint."""
_ANSWER_BYTES = 100_000


class WitnessRefusedError(Exception):
    """A witness answered, but with no cosignature of this checkpoint that verifies."""


@dataclass
class Witness:
    """One witness, with all its keys, as the sequencer knows it."""

    url: str
    keys: dict[str, Verifier]
    """By the names the policy gives them."""
    cosigned_size: int = 0
    """Size it cosigned last, as far as known here; the witness itself knows best and says so by 409."""
    cosigned_at: int | None = None
    problem: str | None = None
    ask_again_at: float = 0.0
    """On the monotonic clock, seconds."""
    pause_seconds: float = FIRST_PAUSE_SECONDS
    is_asked: bool = False
    """An earlier question is still under way."""


@dataclass
class Witnesses:
    """All witnesses of a cell.

    Args:
        policy: says who they are, where they answer, and how many it takes.
        client: opens the connections; made here if None.
    """

    policy: TrustPolicy
    client: httpx.Client | None = None
    all: list[Witness] = field(init=False)

    def __post_init__(self) -> None:
        found: dict[str, Witness] = {}
        for name, known in self.policy.witnesses.items():
            if known.url:
                url = known.url.rstrip("/")
                found.setdefault(url, Witness(url, {})).keys[name] = known.verifier
        self.all = list(found.values())
        if self.client is None and self.all:
            self.client = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False)
        self._threads = ThreadPoolExecutor(max_workers=max(1, len(self.all)), thread_name_prefix="witness")

    def collect(self, checkpoint: Checkpoint, note: str, node: Node) -> tuple[list[Signature], bool]:
        """Return the cosignatures that came in time, and whether they make the quorum.

        Args:
            checkpoint: what `note` says.
            note: the checkpoint as the log signed it.
            node: reads the tree of that size, for consistency proofs.
        """
        now = time.monotonic()
        asked: dict[Future[dict[str, Signature]], Witness] = {}
        for witness in self.all:
            if witness.ask_again_at <= now and not witness.is_asked:
                witness.is_asked = True
                asked[self._threads.submit(self._ask, witness, checkpoint, note, node)] = witness
        signatures: dict[str, Signature] = {}
        waiting, deadline, has_quorum = set(asked), now + 2 * ANSWER_SECONDS, self.policy.satisfied(())
        if has_quorum:
            deadline = now + GRACE_SECONDS
        while waiting and (left := deadline - time.monotonic()) > 0:
            done, waiting = wait(waiting, left, FIRST_COMPLETED)
            for future in done:
                signatures |= future.result()
            if not has_quorum and self.policy.satisfied(signatures):
                has_quorum, deadline = True, time.monotonic() + GRACE_SECONDS
        return list(signatures.values()), has_quorum

    def due(self, size: int) -> bool:
        """Say whether a witness that has not cosigned `size` may be asked again now."""
        now = time.monotonic()
        return any(w.cosigned_size < size and w.ask_again_at <= now and not w.is_asked for w in self.all)

    def down(self) -> list[str]:
        """Return what is wrong with each witness that did not cosign last, in words."""
        return [f"{', '.join(w.keys)}: {w.problem}" for w in self.all if w.problem is not None]

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self.client is not None:
            self.client.close()

    def _ask(self, witness: Witness, checkpoint: Checkpoint, note: str, node: Node) -> dict[str, Signature]:
        try:
            signatures = self._post(witness, checkpoint, note, node)
        except httpx.HTTPError as error:
            self._note_problem(witness, f"no answer: {type(error).__name__}")
            return {}
        except (WitnessRefusedError, ValueError) as error:
            self._note_problem(witness, str(error))
            return {}
        finally:
            witness.is_asked = False
        if witness.problem is not None:
            _log.info("witness cosigns again", witness=witness.url)
        witness.problem = None
        witness.pause_seconds = FIRST_PAUSE_SECONDS
        witness.cosigned_size = checkpoint.size
        witness.cosigned_at = max(int.from_bytes(s.signature[:8], "big") for s in signatures.values())
        return signatures

    def _note_problem(self, witness: Witness, problem: str) -> None:
        if witness.problem != problem:
            # What a witness says stands in its row; a line of the log takes no words of others.
            why = problem.partition(":")[0].replace(" ", "-")
            _log.warning("witness did not cosign", witness=witness.url, why=why)
        witness.problem = problem[:300]
        witness.ask_again_at = time.monotonic() + witness.pause_seconds
        witness.pause_seconds = min(2 * witness.pause_seconds, LAST_PAUSE_SECONDS)

    def _post(self, witness: Witness, checkpoint: Checkpoint, note: str, node: Node) -> dict[str, Signature]:
        old = witness.cosigned_size
        for _ in range(2):
            if old > checkpoint.size:
                raise WitnessRefusedError(f"it has cosigned size {old}, beyond this ledger's")
            # Neither the empty tree nor the same tree needs a proof.
            proof = merkle.consistency_proof(node, old, checkpoint.size) if 0 < old < checkpoint.size else []
            status, text = self._send(f"{witness.url}/add-checkpoint", old, proof, note)
            if status != 409:
                break
            old = witness.cosigned_size = decimal_strict.decode(text.removesuffix("\n"))
        if status != 200:
            raise WitnessRefusedError(f"status {status}")
        return _verified(witness, checkpoint.text(), text)

    def _send(self, url: str, old: int, proof: list[bytes], note: str) -> tuple[int, str]:
        if self.client is None:
            raise RuntimeError("no client without witnesses")
        body = witnessing.encode_request(old, proof, note)
        with self.client.stream("POST", url, content=body) as answer:
            raw = b""
            for part in answer.iter_bytes():
                raw += part
                if len(raw) > _ANSWER_BYTES:
                    raise WitnessRefusedError("its answer is too long")
        return answer.status_code, raw.decode()


def _verified(witness: Witness, text: str, answer: str) -> dict[str, Signature]:
    """Return the cosignatures in an answer by the names of their keys; lines of unknown keys are ignored."""
    known = {(one.name, one.key_id): (name, one) for name, one in witness.keys.items()}
    found: dict[str, Signature] = {}
    try:
        signatures = parse_signatures(answer)
    except NoteError as error:
        raise WitnessRefusedError(f"its answer: {error}") from None
    for signature in signatures:
        name, verifier = known.get((signature.name, signature.key_id), ("", None))
        if verifier is None:
            continue
        if not verifier.verify_text(text, signature.signature):
            raise WitnessRefusedError("its cosignature does not verify")
        found[name] = signature
    if not found:
        raise WitnessRefusedError("no cosignature of its key in the answer")
    return found
