"""One sample of each kind of entry, from which the vectors of entries are made."""

import hashlib

from lightwell.wire import entries

DIGEST = hashlib.sha256(b"conformance").hexdigest()
AT = 1_700_000_040


def sample_entries() -> list[entries.Entry]:
    """One entry of each kind."""
    request, transfer, order = "00000000000000aa", "00000000000000bb", "00000000000000cc"
    minute = entries.minute(AT)
    fields = ["user.contact.email", "user.contact.phone_number"]
    return [
        entries.AgreementAdopted(
            at=AT, agreement="us-2022-draft", version=1, digest=DIGEST, roster_digest=DIGEST
        ),
        entries.PolicyAdopted(at=AT, digest=DIGEST, approvals=2),
        entries.SnapshotPublished(
            at=AT, snapshot=DIGEST, events=DIGEST, settings=DIGEST, code=DIGEST, videos=60
        ),
        entries.VideoPublished(at=minute, commitment=DIGEST),
        entries.VideoWithdrawn(at=minute, commitment=DIGEST),
        entries.SlateServed(at=minute, commitment=DIGEST, snapshot=DIGEST, policy=DIGEST),
        entries.AccessRequested(
            at=minute, request=request, place="sg", role="analyst", fields=fields, purpose="support"
        ),
        entries.AccessDecided(
            at=minute,
            request=request,
            outcome="refused",
            reason="outside-region",
            place="sg",
            role="analyst",
            approvals=0,
            expires_at=0,
        ),
        entries.AccessUsed(at=minute, request=request, fields=fields[:1]),
        entries.AccessEnded(at=minute, request=request, why="expired"),
        entries.AccessOpened(
            at=minute,
            request=request,
            place="us",
            role="analyst",
            witnesses=0,
            alarmed=True,
            expires_at=AT + 900,
            review_by=AT + 86_400,
        ),
        entries.AccessReviewed(at=minute, request=request, outcome="justified", reviewers=1),
        entries.DirectoryChanged(at=minute, change="changed", what=["line", "place"], ended=1),
        entries.AggregateAnswered(
            at=minute,
            place="sg",
            role="analyst",
            question="views_by_hashtag",
            outcome="answered",
            reason="agreed",
            spent=100,
            spent_in_all=300,
            epsilon=100,
        ),
        entries.RecordsOpened(at=minute, by="cleanroom-us", reason="replay", count=100),
        entries.TransferSent(
            at=AT, transfer=transfer, flow="public-video", peer="sg", digest=DIGEST, size=1_234_567
        ),
        entries.TransferReceived(
            at=AT, transfer=transfer, flow="public-video", peer="us", digest=DIGEST, size=1_234_567
        ),
        entries.TransferRefused(at=AT, transfer=transfer, flow="none", peer="sg", reason="no-such-flow"),
        entries.ConnectionRefused(at=AT, process="web", reason="not-on-the-list"),
        entries.OrderTaken(
            at=AT, order=order, verb="suspend", scope="uploads", digest=DIGEST, signer="authority.example"
        ),
        entries.OrderRefused(at=AT, digest=DIGEST, reason="bad-signature"),
        entries.OrderEffective(at=AT, order=order, process="web"),
        entries.PolicyProposed(
            at=minute, policy=DIGEST, version=1, promotions=1, role="board", seat="Board member 1"
        ),
        entries.PromotionListed(
            at=minute, policy=DIGEST, promotion=DIGEST, raises=True, start=AT, end=AT + 3600, ceiling=10_000
        ),
        entries.PolicyApproved(at=minute, policy=DIGEST, role="partner", seat="Partner", signature="ab" * 64),
        entries.AccountErased(at=minute, commitment=DIGEST),
        entries.MigrationSent(
            at=minute, migration=transfer, peer="us", term="S2", accounts=5000, digest=DIGEST
        ),
        entries.MigrationReceived(
            at=minute, migration=transfer, peer="sg", term="S2", accounts=5000, digest=DIGEST
        ),
        entries.MigrationErased(
            at=minute,
            migration=transfer,
            peer="us",
            accounts=5000,
            rows=120_000,
            objects=900,
            key_versions=["1"],
        ),
        entries.LawfulRequestReceived(at=minute, request=request, commitment=DIGEST, fields=fields),
        entries.LawfulRequestReceived(
            at=minute, request=request, commitment=DIGEST, fields=fields, entity="operator", place="us"
        ),
        entries.LawfulRequestAnswered(
            at=minute, request=request, fields=fields, approvals=1, entity="operator", place="us"
        ),
        entries.LawfulRequestRefused(
            at=minute, request=request, reason="not-at-home", place="sg", role="analyst"
        ),
        entries.QuarantineOpened(
            at=minute, item=transfer, place="us", role="approver", reason="gateway_review", look=1
        ),
        entries.QuarantineClosed(at=minute, item=transfer, outcome="reported", looks=1),
        entries.DirectoryChanged(at=minute, change="enrolled", what=[], ended=0, role="executive"),
        entries.AppointmentProposed(
            at=minute, appointment=request, role="executive", commitment=DIGEST, counts_at=AT + 2_592_000
        ),
        entries.AppointmentDecided(
            at=minute,
            appointment=request,
            outcome="vetoed",
            role="authority",
            seat="Authority",
            signature="ab" * 64,
        ),
        entries.CellKeyChanged(at=AT, version=2, change="made"),
        entries.LabelsCounted(
            at=AT, agreement=DIGEST, labels=DIGEST, protected=90, interop=200, public=60, unlabelled=0
        ),
    ]
