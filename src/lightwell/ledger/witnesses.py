"""Asks each witness to cosign a checkpoint; one that is down costs a missing line and little time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from lightwell.base.settings import WitnessSettings
from lightwell.base.telemetry import log
from lightwell.wire import merkle, witnessing
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, parse_decimal
from lightwell.wire.merkle import Node
from lightwell.wire.note import COSIGNATURE, NoteError, Signature, Verifier, parse_signatures

_log = log("ledger.witnesses")

ANSWER_SECONDS = 1.0
"""A witness that takes longer is counted as down."""
PAUSE_SECONDS = 5.0
"""A witness that is down is asked again after this long, so that it does not slow each checkpoint."""


class WitnessRefusedError(Exception):
    """A witness answered, but with no cosignature of this checkpoint that verifies."""


@dataclass
class Witness:
    """One witness as the sequencer knows it."""

    url: str
    verifier: Verifier
    cosigned_size: int = 0
    """Size it cosigned last, as far as known here; the witness itself knows best and says so by 409."""
    cosigned_at: int | None = None
    problem: str | None = None
    ask_again_at: float = 0.0
    """On the monotonic clock, seconds."""


@dataclass
class Witnesses:
    """All witnesses of a cell.

    Args:
        settings: address and key of each.
        client: opens the connections; made here if None.
    """

    settings: Sequence[WitnessSettings]
    client: httpx.Client | None = None
    all: list[Witness] = field(init=False)

    def __post_init__(self) -> None:
        self.all = []
        for one in self.settings:
            verifier = Verifier.from_vkey(one.vkey)
            if verifier.algorithm != COSIGNATURE:
                raise NoteError(f"witness {verifier.name}: its key is not a cosigner's (type 0x04)")
            self.all.append(Witness(one.url.rstrip("/"), verifier))
        if self.client is None and self.all:
            self.client = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False)
        self._threads = ThreadPoolExecutor(max_workers=max(1, len(self.all)), thread_name_prefix="witness")

    def collect(self, checkpoint: Checkpoint, note: str, node: Node) -> list[Signature]:
        """Return the cosignatures of `checkpoint` that its witnesses give within the time for an answer.

        Args:
            checkpoint: what `note` says.
            note: the checkpoint as the log signed it.
            node: reads the tree of that size, for consistency proofs.
        """
        now = time.monotonic()
        asked = [witness for witness in self.all if witness.ask_again_at <= now]
        answers = self._threads.map(lambda witness: self._ask(witness, checkpoint, note, node), asked)
        return [answer for answer in answers if answer is not None]

    def due(self, size: int) -> bool:
        """Say whether a witness that has not cosigned `size` may be asked again now."""
        now = time.monotonic()
        return any(w.cosigned_size < size and w.ask_again_at <= now for w in self.all)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self.client is not None:
            self.client.close()

    def _ask(self, witness: Witness, checkpoint: Checkpoint, note: str, node: Node) -> Signature | None:
        try:
            signature = self._post(witness, checkpoint, note, node)
        except httpx.HTTPError as error:
            self._note_problem(witness, f"no answer: {type(error).__name__}")
            return None
        except (WitnessRefusedError, NoteError, CheckpointError, ValueError) as error:
            self._note_problem(witness, str(error))
            return None
        if witness.problem is not None:
            _log.info("witness cosigns again", witness=witness.verifier.name)
        witness.problem = None
        witness.cosigned_size = checkpoint.size
        witness.cosigned_at = int.from_bytes(signature.signature[:8], "big")
        return signature

    def _note_problem(self, witness: Witness, problem: str) -> None:
        if witness.problem != problem:
            _log.warning("witness did not cosign", witness=witness.verifier.name, why=problem)
        witness.problem = problem[:300]
        witness.ask_again_at = time.monotonic() + PAUSE_SECONDS

    def _post(self, witness: Witness, checkpoint: Checkpoint, note: str, node: Node) -> Signature:
        old = witness.cosigned_size
        for _ in range(2):
            if old > checkpoint.size:
                raise WitnessRefusedError(f"it has cosigned size {old}, beyond this ledger's")
            # Neither the empty tree nor the same tree needs a proof.
            proof = merkle.consistency_proof(node, old, checkpoint.size) if 0 < old < checkpoint.size else []
            answer = self._client().post(
                f"{witness.url}/add-checkpoint", content=witnessing.encode_request(old, proof, note)
            )
            if answer.status_code != 409:
                break
            old = witness.cosigned_size = parse_decimal(answer.text.removesuffix("\n"))
        if answer.status_code != 200:
            raise WitnessRefusedError(f"status {answer.status_code}")
        for signature in parse_signatures(answer.text):
            known = (witness.verifier.name, witness.verifier.key_id)
            if (signature.name, signature.key_id) == known:
                if not witness.verifier.verify_text(checkpoint.text(), signature.signature):
                    raise WitnessRefusedError("its cosignature does not verify")
                return signature
        raise WitnessRefusedError("no cosignature of its key in the answer")

    def _client(self) -> httpx.Client:
        if self.client is None:
            raise RuntimeError("no client without witnesses")
        return self.client
