"""Anybody may hold a ledger to its promise: an entry that is not there after its time is a finding."""

from typing import Annotated, Final, Literal

import msgspec

from lightwell.oversight.entry_view import day, inclusion
from lightwell.oversight.follow import FollowStatus
from lightwell.oversight.refusal import Refusal
from lightwell.oversight.store import Store
from lightwell.wire import merkle
from lightwell.wire.keys import Verifier
from lightwell.wire.promise import Promise, PromiseError, claimed_origin, open_promise
from lightwell.wire.tiles import ENTRY_LIMIT

BODY_LIMIT: Final = 400_000
"""Bytes of a submission: an entry of 65,535 bytes may take six times as many in JSON."""

_PROMISE_LIMIT: Final = 4_000
_KEPT: Final = 1_000


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A promise as its holder has it, and the text of the entry it is about."""

    promise: Annotated[str, msgspec.Meta(max_length=_PROMISE_LIMIT)]
    entry: Annotated[str, msgspec.Meta(max_length=ENTRY_LIMIT)]


_decode_submission = msgspec.json.Decoder(Submission).decode


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a promise stands.

    `state` is "kept" when the entry is in the tree, with its `index` and the RFC 6962 `proof` (base64) that
    it is in the tree of `size` and `root` (hex); "broken" when it was not there at `looked_at`, long enough
    after its time; "waiting" otherwise. Times are seconds since the epoch.
    """

    state: Literal["kept", "waiting", "broken"]
    cell: str
    leaf: str
    by: int
    index: int | None = None
    size: int | None = None
    root: str | None = None
    proof: list[str] | None = None
    looked_at: int | None = None


def origin_of(submission: Submission) -> str:
    """Return the origin of the ledger that is said to promise, "" if none is; nothing is verified."""
    return claimed_origin(submission.promise)


def read(body: bytes) -> Submission:
    """Parse a submission.

    Raises:
        Refusal: 413 too large, 400 not of this form.
    """
    if len(body) > BODY_LIMIT:
        raise Refusal(413, "too-large", f"A promise and its entry take at most {BODY_LIMIT} bytes.")
    try:
        return _decode_submission(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, "bad-request", f"The body is not a promise with its entry: {error}.") from error


def judge(
    store: Store,
    ledger: tuple[str, str, Verifier],
    status: FollowStatus,
    submission: Submission,
    grace_seconds: float,
) -> Standing:
    """Say how a promise stands, and record it if it is broken; doing it again changes nothing.

    Args:
        store: what we follow, and where findings are.
        ledger: cell, origin and key of the ledger whose promise it is.
        status: how following goes.
        submission: the promise and its entry.
        grace_seconds: how long after its time a promise counts as broken: the cell's clock may be ahead.

    Raises:
        Refusal: 422, not a promise of this ledger, or one about another entry.
    """
    cell, origin, verifier = ledger
    try:
        promise = open_promise(submission.promise, verifier)
    except PromiseError as error:
        raise Refusal(422, "bad-promise", f"This is not a promise of the ledger's: {error}.") from error
    if promise.origin != origin:
        raise Refusal(422, "bad-promise", "The promise is about another ledger.")
    try:
        leaf = merkle.leaf_hash(submission.entry.encode())
    except UnicodeEncodeError as error:
        raise Refusal(422, "other-entry", "The entry is not Unicode.") from error
    if leaf != promise.leaf_hash:
        raise Refusal(422, "other-entry", "The promise is about another entry than the one sent with it.")
    # Read before the entries are: whatever was followed up to then is seen below.
    looked_at = status.whole_at
    row = store.row("SELECT idx FROM entries WHERE leaf = ? AND cell = ? ORDER BY idx LIMIT 1", leaf, cell)
    shown = inclusion(store, cell, row["idx"]) if row else None
    if row is not None and shown is not None:
        return Standing("kept", cell, leaf.hex(), promise.by, row["idx"], shown.size, shown.root, shown.proof)
    if looked_at <= promise.by + grace_seconds:
        return Standing("waiting", cell, leaf.hex(), promise.by)
    _raise_broken(store, cell, promise, looked_at)
    return Standing("broken", cell, leaf.hex(), promise.by, looked_at=int(looked_at))


def _raise_broken(store: Store, cell: str, promise: Promise, looked_at: float) -> None:
    key = f"promise-{promise.leaf_hash.hex()}"
    known = store.number("SELECT count(*) FROM findings WHERE cell = ? AND key = ?", cell, key)
    count = store.number("SELECT count(*) FROM findings WHERE cell = ? AND key LIKE 'promise-%'", cell)
    if known or count >= _KEPT:
        return
    store.raise_finding(
        cell,
        key,
        area="ledger",
        title="A promise was broken",
        detail=f"The ledger's key promised the entry of leaf hash {promise.leaf_hash.hex()} by "
        f"{day(promise.by)}; the tree as read on {day(looked_at)} does not have it.",
    )
