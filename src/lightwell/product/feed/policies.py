"""A ranking policy serves only after others than its proposer approved it, and each step is in the ledger."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from lightwell.agreement import policy_papers
from lightwell.agreement.policy_papers import Approver
from lightwell.base.clock import now_ms, now_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.ledger.places import integrated
from lightwell.ledger.queue import enqueue, enqueue_many, prepare
from lightwell.product.feed.external import object_key
from lightwell.product.feed.models import RankingPolicyRow
from lightwell.product.feed.policy_models import PolicyApprovalRow, PolicyProposalRow
from lightwell.product.feed.policy_signers import open_signed
from lightwell.recommender.policy import (
    PolicyError,
    RankingPolicy,
    default_policy,
    dump,
    parse,
    promotion_digest,
    raised_share,
)
from lightwell.recommender.policy_file import parse_file
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Refused
from lightwell.wire.entries import PolicyAdopted, PolicyApproved, PolicyProposed, PromotionListed, minute

_MOST_OPEN: Final = 5
_MOST_SHOWN: Final = 100
_HOUR: Final = 3600
_NEWEST_POLICY: Final = select(RankingPolicyRow.digest).order_by(RankingPolicyRow.number.desc()).limit(1)


class Standing(Struct, frozen=True):
    """How far a policy has come: `proposed` or `adopted`, and what is still missing, by what for."""

    digest: str
    version: int
    status: str
    approvals: int
    lacking: dict[str, int]


def ensure_policy(session: WriteSession) -> str:
    """Adopt the founding ranking policy if the cell has none; return the digest of the newest one.

    Nobody approved the founding policy but the parties who signed the agreement: its entry says 0 approvals.
    It is the program's default, without promotions and without another organisation's ranker.
    """
    newest = session.scalar(_NEWEST_POLICY)
    if newest is not None:
        return newest
    policy = default_policy()
    leaf = enqueue(session, PolicyAdopted(at=now_s(), digest=policy.digest, approvals=0))
    session.add(RankingPolicyRow(digest=policy.digest, body=dump(policy), leaf=leaf))
    return policy.digest


def propose(cell: Cell, session: WriteSession, file: str, note: str) -> Standing:
    """Take a policy file and the signed paper that proposes it.

    Args:
        cell: where it is to serve.
        session: the caller's transaction.
        file: TOML, as `recommender.policy_file` reads it.
        note: a `propose` paper that names the policy's digest.

    Raises:
        Problem: 422 the file is no policy, raises too much or names a ranker that is not here, or the paper
            is about another; 409 its version is not the next, it was proposed already, or too many of
            this signer's wait; errors of papers as in `open_signed`.
    """
    try:
        policy = parse_file(file)
    except PolicyError as error:
        raise Problem(422, "unusable-policy", f"The policy file is refused: {error}", field="file") from error
    paper, signer = open_signed(cell, session, note, "propose")
    if paper.policy != policy.digest:
        raise Problem(422, "another-policy", f"The paper is not about this file, {policy.digest}.")
    _check_next(session, policy)
    ceiling = policy_papers.promotion_ceiling(cell.agreement)
    if raised_share(policy) > ceiling:
        detail = f"Promotions may raise videos in {ceiling} of a million requests at one time, not in more."
        raise Problem(422, "promoted-too-much", detail)
    if policy.external is not None and not cell.objects.exists(object_key(policy.external.digest)):
        raise Problem(422, "no-such-ranker", "This cell holds no program of a ranker with that digest.")
    if session.get(PolicyProposalRow, policy.digest) is not None:
        raise Problem(409, "already-proposed", "This policy has been proposed already.")
    # Each may fill only their own share: nobody keeps others from proposing.
    if sum(row.person == signer.person for row in _open_proposals(session)) >= _MOST_OPEN:
        detail = f"{_MOST_OPEN} of your proposals wait; no more before another policy is adopted."
        raise Problem(409, "too-many-proposals", detail)
    now = now_ms()
    row = PolicyProposalRow(
        digest=policy.digest,
        version=policy.version,
        body=dump(policy),
        key=signer.key,
        person=signer.person,
        role=signer.role,
        seat=signer.seat,
        proposed_at=now,
        leaf=b"",
    )
    row.leaf = enqueue_many(session, _entries(row, policy))[0]
    session.add(row)
    _flush(session, "already-proposed", "This policy has been proposed already.")
    return _standing(cell, session, row)


def approve(cell: Cell, session: WriteSession, note: str) -> Standing:
    """Count one key's approval of a proposed policy with all its promotions.

    Raises:
        Problem: 403 `refused` when the agreement does not count this role or the proposer signed; 404 no such
            proposal; 409 this key or person has approved it, or it is adopted; else as `open_signed`.
    """
    paper, signer = open_signed(cell, session, note, "approve")
    # Locked, so that one person with two keys cannot approve twice at once.
    row = _proposal(session, paper.policy, lock=True)
    policy = _policy(row)
    if signer.key == row.key or signer.person == row.person:
        raise Refused("self-approval")
    wanted = _needed(cell, policy)
    if not any(signer.role in cell.agreement.approver_roles(what) for what in wanted):
        raise Refused("role-not-allowed")
    if _adopted(session, row.digest) is not None:
        raise Problem(409, "already-adopted", "This policy has been adopted already.")
    given = _approvals(session, row.digest)
    if any(other.key == signer.key or other.person == signer.person for other in given):
        raise Problem(409, "already-approved", "You have approved this policy already.")
    now = now_ms()
    entry = PolicyApproved(
        at=minute(now // 1000),
        policy=row.digest,
        role=signer.role,
        seat=signer.seat,
        # A signature could be held against a stolen staff directory; seats are public anyway.
        signature=paper.signature.signature.hex() if signer.seat else "",
    )
    session.add(
        PolicyApprovalRow(
            digest=row.digest,
            key=signer.key,
            person=signer.person,
            role=signer.role,
            seat=signer.seat,
            approved_at=now,
            leaf=enqueue(session, entry),
        )
    )
    _flush(session, "already-approved", "You have approved this policy already.")
    return _standing(cell, session, row)


def adopt(cell: Cell, session: WriteSession, note: str) -> Standing:
    """Adopt an approved policy: it serves as soon as its PolicyAdopted entry is in the ledger.

    Raises:
        Problem: 403 `too-few-approvals` with member `lacking`; 409 its proposal or an approval is not in the
            ledger yet, it is adopted, or its version is not the next any more; else as `open_signed`.
    """
    paper, _ = open_signed(cell, session, note, "adopt")
    row = _proposal(session, paper.policy)
    policy = parse(row.body)
    if policy.digest != row.digest:
        raise Problem(
            409, "other-version", "It was proposed to another version of this program; do it again."
        )
    # Locked, so that of two adopted side by side the second sees the first.
    session.scalar(_NEWEST_POLICY.with_for_update())
    if _adopted(session, row.digest) is not None:
        raise Problem(409, "already-adopted", "This policy has been adopted already.")
    _check_next(session, policy)
    approvals = _approvals(session, row.digest)
    lacking = policy_papers.lacking(cell.agreement, _needed(cell, policy), _approvers(approvals))
    if lacking:
        words = ", ".join(f"{missing} as {what}" for what, missing in lacking.items())
        raise Problem(403, "too-few-approvals", f"Approvals are missing: {words}.", lacking=lacking)
    # Entries of one batch may be shuffled: what comes first must be in the ledger first.
    leaves = {prepare(entry).leaf_hash for entry in _entries(row, policy)}
    leaves |= {approval.leaf for approval in approvals}
    if leaves - integrated(session, leaves).keys():
        raise Problem(409, "not-sequenced", "Its approvals are not in the ledger yet; try again in a second.")
    count = policy_papers.given(cell.agreement, "ranking-policy", _approvers(approvals))
    leaf = enqueue(session, PolicyAdopted(at=now_s(), digest=row.digest, approvals=count))
    session.add(RankingPolicyRow(digest=row.digest, body=row.body, leaf=leaf))
    _flush(session, "already-adopted", "This policy has been adopted already.")
    return _standing(cell, session, row)


def history(cell: Cell, session: ReadSession) -> list[dict[str, Any]]:
    """List the policies adopted, newest first, at most 100, then those that wait for approval."""
    rows = session.scalars(
        select(RankingPolicyRow).order_by(RankingPolicyRow.number.desc()).limit(_MOST_SHOWN)
    ).all()
    places = integrated(session, [row.leaf for row in rows])
    shown = []
    for row in rows:
        proposal = session.get(PolicyProposalRow, row.digest)
        version = proposal.version if proposal else 0
        shown.append(_shown(session, row.digest, version, "adopted", places.get(row.leaf), {}))
    for waiting in _open_proposals(session):
        try:
            lacking = _standing(cell, session, waiting).lacking
        except Problem:
            continue
        shown.append(_shown(session, waiting.digest, waiting.version, "proposed", None, lacking))
    return shown


def body_of(session: ReadSession, digest: str) -> bytes:
    """Return the canonical bytes of a policy adopted or proposed here.

    Raises:
        Problem: 404 there is none with this digest.
    """
    adopted = session.scalar(select(RankingPolicyRow.body).where(RankingPolicyRow.digest == digest))
    if adopted is not None:
        return adopted
    return _proposal(session, digest).body


def _entries(row: PolicyProposalRow, policy: RankingPolicy) -> list[PolicyProposed | PromotionListed]:
    at = minute(row.proposed_at // 1000)
    first = PolicyProposed(
        at=at,
        policy=row.digest,
        version=row.version,
        promotions=len(policy.promotions),
        role=row.role,
        seat=row.seat,
    )
    return [
        first,
        *(
            PromotionListed(
                at=at,
                policy=row.digest,
                promotion=promotion_digest(promotion),
                raises=promotion.points > 0,
                start=promotion.start * _HOUR,
                end=promotion.end * _HOUR,
                ceiling=promotion.ceiling,
            )
            for promotion in policy.promotions
        ),
    ]


def _needed(cell: Cell, policy: RankingPolicy) -> dict[str, int]:
    return policy_papers.needed(
        cell.agreement, promotes=bool(policy.promotions), deploys=policy.external is not None
    )


def _policy(row: PolicyProposalRow) -> RankingPolicy:
    try:
        policy = parse(row.body)
    except PolicyError:
        policy = None
    if policy is None or policy.digest != row.digest:
        # Fields that this program adds or drops would make it another policy than was signed.
        raise Problem(409, "other-program", "Another version of this program took it: propose it again.")
    return policy


def _check_next(session: ReadSession, policy: RankingPolicy) -> None:
    wanted = _newest_version(session) + 1
    if policy.version != wanted:
        # Neither back to an older one, nor so far ahead that no other could follow.
        raise Problem(409, "not-next", f"The next policy here has version {wanted}.", field="version")


def _newest_version(session: ReadSession) -> int:
    """Return the greatest version adopted; the founding policy, which nobody proposed, has 0."""
    newest = session.scalar(
        select(PolicyProposalRow.version)
        .join(RankingPolicyRow, RankingPolicyRow.digest == PolicyProposalRow.digest)
        .order_by(PolicyProposalRow.version.desc())
        .limit(1)
    )
    return newest or 0


def _proposal(session: ReadSession, digest: str, *, lock: bool = False) -> PolicyProposalRow:
    row = session.get(PolicyProposalRow, digest, with_for_update=lock or None)
    if row is None:
        raise not_found("policy")
    return row


def _adopted(session: ReadSession, digest: str) -> int | None:
    return session.scalar(select(RankingPolicyRow.number).where(RankingPolicyRow.digest == digest))


def _open_proposals(session: ReadSession) -> list[PolicyProposalRow]:
    query = select(PolicyProposalRow).where(PolicyProposalRow.version == _newest_version(session) + 1)
    return list(session.scalars(query.order_by(PolicyProposalRow.proposed_at, PolicyProposalRow.digest)))


def _approvals(session: ReadSession, digest: str) -> list[PolicyApprovalRow]:
    query = select(PolicyApprovalRow).where(PolicyApprovalRow.digest == digest)
    return list(session.scalars(query.order_by(PolicyApprovalRow.approved_at, PolicyApprovalRow.key)))


def _approvers(rows: list[PolicyApprovalRow]) -> list[Approver]:
    return [Approver(row.role, row.key) for row in rows]


def _shown(
    session: ReadSession, digest: str, version: int, status: str, entry: int | None, lacking: dict[str, int]
) -> dict[str, Any]:
    approvals = [{"role": row.role, "seat": row.seat} for row in _approvals(session, digest)]
    return {
        "digest": digest,
        "version": version,
        "status": status,
        "entry": entry,
        "approvals": approvals,
        "lacking": lacking,
    }


def _standing(cell: Cell, session: ReadSession, row: PolicyProposalRow) -> Standing:
    approvals = _approvals(session, row.digest)
    return Standing(
        digest=row.digest,
        version=row.version,
        status="adopted" if _adopted(session, row.digest) is not None else "proposed",
        approvals=len(approvals),
        lacking=policy_papers.lacking(cell.agreement, _needed(cell, _policy(row)), _approvers(approvals)),
    )


def _flush(session: WriteSession, slug: str, detail: str) -> None:
    # Two requests side by side: the second to commit finds the first one's row.
    try:
        session.flush()
    except IntegrityError as error:
        raise Problem(409, slug, detail) from error
