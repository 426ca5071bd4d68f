"""Checks of what crossed between cells: under which flow, how large, and whether both ends agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.model import Flow
from lightwell.wire import entries as kinds

Transfer = kinds.TransferSent | kinds.TransferReceived

_DAY = 86_400


def published_only(case: Case) -> Finding:
    """Judge what crossed: each message under a flow of the agreement that joins the two regions."""
    breaches = Breaches()
    transfers = _transfers(case)
    for index, entry in transfers:
        if _flow(case, entry) is None:
            way = "left for" if isinstance(entry, kinds.TransferSent) else "came from"
            breaches.add(
                index, f"a message {way} {entry.peer} under `{entry.flow}`, which is no flow between them"
            )
    broken = breaches.finding()
    if broken is not None:
        return broken
    if not transfers:
        return Finding(NO_EVIDENCE, "Nothing has crossed.", [])
    flows = ", ".join(sorted({entry.flow for _, entry in transfers}))
    why = f"{counted(len(transfers), 'message')} crossed, all under {flows}."
    return Finding(MET, why, [index for index, _ in transfers])


def gateway_logged(case: Case) -> Finding:
    """Judge the gateway: every logged message within its flow's size and daily budget, odd ones stopped."""
    breaches = Breaches()
    transfers = _transfers(case)
    refused = case.evidence.of(kinds.TransferRefused)
    messages: dict[tuple[str, str, int], int] = defaultdict(int)
    sizes: dict[tuple[str, str, int], int] = defaultdict(int)
    for index, entry in transfers:
        flow = _flow(case, entry)
        if flow is None:
            continue
        ceiling = flow.max_message_bytes + flow.max_media_bytes * len(flow.media)
        if entry.size > ceiling:
            breaches.add(index, f"a message of {entry.size} bytes crossed; the flow allows {ceiling}")
        if isinstance(entry, kinds.TransferSent):
            day = (entry.flow, entry.peer, entry.at // _DAY)
            messages[day] += 1
            sizes[day] += entry.size
            if messages[day] > flow.daily_messages or sizes[day] > flow.daily_bytes:
                breaches.add(
                    index, f"the daily budget of {entry.flow} was spent, and a message went all the same"
                )
    broken = breaches.finding()
    if broken is not None:
        return broken
    entries = sorted([index for index, _ in transfers] + [index for index, _ in refused])
    if not entries:
        return Finding(NO_EVIDENCE, "The gateway has logged nothing.", [])
    passed, stopped = counted(len(transfers), "message"), len(refused)
    return Finding(MET, f"The gateway logged {passed} within all limits and stopped {stopped}.", entries)


def transfers_pair(case: Case) -> Finding:
    """Judge whether both ends of every transfer tell the same; needs the other cells' ledgers."""
    limit = case.agreement.limits.transfer_pairing_seconds.value
    refused = [index for index, _ in case.evidence.of(kinds.ConnectionRefused)]
    arrived = {name: _by_id(ledger.of(kinds.TransferReceived)) for name, ledger in case.peers.items()}
    departed = {name: _by_id(ledger.of(kinds.TransferSent)) for name, ledger in case.peers.items()}
    breaches = Breaches()
    paired: list[int] = []
    waiting = 0
    for index, entry in _transfers(case):
        sent = isinstance(entry, kinds.TransferSent)
        other = (arrived if sent else departed).get(entry.peer, {}).get(entry.transfer)
        if other is not None and (other.digest, other.flow) == (entry.digest, entry.flow):
            paired.append(index)
        elif other is not None:
            breaches.add(index, f"{entry.peer} recorded another message under the same transfer")
        # The other ledger's own clock counts: a cell that is down has not yet failed to record.
        elif entry.peer in case.peers and case.peers[entry.peer].clock > entry.at + limit:
            verb = "received" if sent else "sent"
            breaches.add(index, f"{entry.peer} never recorded that it {verb} this message")
        else:
            waiting += 1
    broken = breaches.finding()
    if broken is not None:
        return broken
    rest = f" {waiting} waiting for the other end." if waiting else ""
    rest += f" {counted(len(refused), 'connection')} off the list refused." if refused else ""
    if not paired:
        return Finding(NO_EVIDENCE, f"No transfer is recorded at both ends yet.{rest}", refused)
    why = f"{counted(len(paired), 'transfer')} recorded alike at both ends.{rest}"
    return Finding(MET, why, sorted([*paired, *refused]))


def protected_refused(case: Case) -> Finding:
    """Judge whether protected data is treated as such: attempts to send it were stopped, none went."""
    breaches = Breaches()
    for index, entry in case.evidence.of(kinds.TransferSent):
        if _flow(case, entry) is None:
            breaches.add(
                index, f"a message left under `{entry.flow}`, which no class of this agreement bounds"
            )
    broken = breaches.finding()
    if broken is not None:
        return broken
    stopped = [
        index for index, entry in case.evidence.of(kinds.TransferRefused) if entry.reason in PROTECTED_REASONS
    ]
    if not stopped:
        return Finding(NO_EVIDENCE, "Nobody has tried to send protected data yet.", [])
    times = counted(len(stopped), "attempt")
    return Finding(
        MET, f"{times} to send protected data stopped at the gateway, none recorded as sent.", stopped
    )


# Reasons of TransferRefused that say that what was stopped was, or looked, protected.
PROTECTED_REASONS = frozenset({"label", "decision", "tripwire"})


def _by_id(entries: Iterable[tuple[int, Transfer]]) -> dict[str, Transfer]:
    return {entry.transfer: entry for _, entry in entries}


def _transfers(case: Case) -> list[tuple[int, Transfer]]:
    both: list[tuple[int, Transfer]] = [
        *case.evidence.of(kinds.TransferSent),
        *case.evidence.of(kinds.TransferReceived),
    ]
    return sorted(both, key=lambda pair: pair[0])


def _flow(case: Case, entry: Transfer) -> Flow | None:
    # A cell is called like its region, or like it with a hyphen and more.
    there = case.regions.get(entry.peer, entry.peer.partition("-")[0])
    sent = isinstance(entry, kinds.TransferSent)
    source, target = (case.region, there) if sent else (there, case.region)
    return case.agreement.flow_between(entry.flow, source, target)
