"""The checks a term may name, each a pure function from the entries to a finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lightwell.agreement.access_check import access_at_home
from lightwell.agreement.adoption_check import agreement_signed
from lightwell.agreement.aggregate_check import aggregates_private
from lightwell.agreement.appointment_check import appointments_consented
from lightwell.agreement.emergency_check import emergency_reviewed
from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import BREACHED, MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.flow_checks import gateway_logged, protected_refused, published_only, transfers_pair
from lightwell.agreement.labels_check import all_labelled
from lightwell.agreement.lawful_check import lawful_at_home
from lightwell.agreement.moving_check import moved_and_erased
from lightwell.agreement.policy_check import policy_approved
from lightwell.agreement.roster import roster_digest, seats_of
from lightwell.agreement.upkeep_checks import keys_rotated, quarantine_closed
from lightwell.wire import entries as kinds


def slates_replay(case: Case) -> Finding:
    """Judge the feed: every slate under a named policy and snapshot, every replayed slate identical."""
    breaches = Breaches()
    for index, what in case.evidence.unnamed:
        breaches.add(index, f"a slate was served under a {what} that no earlier entry names")
    served = set(case.evidence.slates)
    # Of a slate older than its snapshot is kept, no replay can say anything any more.
    outcomes = {
        index: outcome
        for index, outcome in case.verdicts.items()
        if index in served and outcome != "not-kept"
    }
    words = {
        "differs": "running the slate again gives another slate",
        "missing": "the slate's record is missing",
        "unopened": "the slate's record does not open its commitment",
        "snapshot-missing": "the snapshot the slate was ranked from is missing",
        "withdrawal-unproven": "the slate leaves out a video as withdrawn that no entry takes back",
        "withdrawn-shown": "the slate shows a video that was taken back before",
    }
    for index, outcome in outcomes.items():
        if outcome != "identical":
            breaches.add(index, words.get(outcome, "the slate's replay failed"))
    broken = breaches.finding()
    if broken is not None:
        return broken
    if not outcomes:
        why = f"{counted(len(served), 'slate')} served, none replayed." if served else "No slate was served."
        return Finding(NO_EVIDENCE, why, [])
    why = f"{len(outcomes)} of {counted(len(served), 'slate')} replayed, all identical to the last bit."
    return Finding(MET, why, sorted(outcomes))


def in_region(case: Case) -> Finding:
    """Judge where protected data is: entries can show that it left, none can show that it did not."""
    breaches = Breaches()
    for index, entry in case.evidence.of(kinds.AccessDecided):
        if entry.outcome == "granted" and entry.place != case.region:
            breaches.add(index, f"protected data was opened to a viewer in {entry.place}")
    for index, opened in case.evidence.of(kinds.AccessOpened):
        if opened.place != case.region:
            breaches.add(index, f"an emergency opened protected data to a viewer in {opened.place}")
    for index, sent in case.evidence.of(kinds.TransferSent):
        if case.agreement.flow(sent.flow) is None:
            breaches.add(index, f"a message left under `{sent.flow}`, which is no flow of the agreement")
    broken = breaches.finding()
    if broken is not None:
        return broken
    return Finding(
        NO_EVIDENCE, "No entry shows data leaving; that none is kept abroad, entries cannot show.", []
    )


def board_seated(case: Case) -> Finding:
    """Judge the board by the roster the ledger adopted."""
    adopted = case.evidence.of(kinds.AgreementAdopted)
    if not adopted or case.roster is None:
        return Finding(NO_EVIDENCE, "No roster was adopted, or it was not fetched.", [])
    index, newest = adopted[-1]
    if roster_digest(list(case.roster)) != newest.roster_digest:
        return Finding(BREACHED, f"Entry {index}: the roster in use is not the one adopted.", [index])
    seats = len(seats_of(list(case.roster), "board"))
    needed = case.agreement.limits.min_board_seats.value
    if seats < needed:
        return Finding(
            BREACHED, f"Entry {index}: the roster seats {seats} of {needed} board members.", [index]
        )
    why = (
        f"The roster seats {counted(seats, 'board member')}; their approval by the authority is not recorded."
    )
    return Finding(NO_EVIDENCE, why, [index])


def monitor_admitted(case: Case) -> Finding:
    """Judge the monitors: opened records show one at work, nothing shows an auditor, an inspector or pay."""
    opened = case.evidence.of(kinds.RecordsOpened)
    if not opened:
        return Finding(NO_EVIDENCE, "No monitor has opened a record.", [])
    records = sum(entry.count for _, entry in opened)
    why = f"The monitor opened {counted(records, 'record')}; no entry shows an auditor, an inspector or pay."
    return Finding(NO_EVIDENCE, why, [index for index, _ in opened])


def orders_obeyed(case: Case) -> Finding:
    """Judge orders: each takes effect in time, in every process that has ever reported one."""
    limit = case.agreement.limits.order_effect_seconds.value
    taken = case.evidence.of(kinds.OrderTaken)
    effects = case.evidence.of(kinds.OrderEffective)
    refused = case.evidence.of(kinds.OrderRefused)
    processes = {entry.process for _, entry in effects}
    breaches = Breaches()
    pending = 0
    shown: list[int] = [index for index, _ in refused]
    for index, order in taken:
        mine = [(place, entry) for place, entry in effects if entry.order == order.order]
        shown += [index, *(place for place, _ in mine)]
        missing = sorted(processes - {entry.process for _, entry in mine})
        if case.now <= order.at + limit:
            pending += bool(missing or not mine)
        elif not mine:
            breaches.add(index, f"no process obeyed the order to {order.verb} {order.scope} in {limit} s")
        elif min(entry.at for _, entry in mine) > order.at + limit:
            breaches.add(
                index, f"the order to {order.verb} {order.scope} took effect after more than {limit} s"
            )
        elif missing:
            breaches.add(index, f"{', '.join(missing)} never obeyed the order to {order.verb} {order.scope}")
    broken = breaches.finding()
    if broken is not None:
        return broken
    turned_away = f" {counted(len(refused), 'order')} refused." if refused else ""
    if len(taken) == pending:
        return Finding(NO_EVIDENCE, f"No order has had to take effect.{turned_away}", sorted(shown))
    obeyed = counted(len(taken) - pending, "order")
    why = f"{obeyed} obeyed by {' and '.join(sorted(processes))} within {limit} s.{turned_away}"
    return Finding(MET, why, sorted(shown))


def nothing_recorded(case: Case) -> Finding:
    """Say that no kind of entry speaks to the term yet."""
    return Finding(NO_EVIDENCE, "No kind of entry in the ledger speaks to this yet.", [])


CHECKS: Final[dict[str, Callable[[Case], Finding]]] = {
    "protected-refused": protected_refused,
    "published-only": published_only,
    "in-region": in_region,
    "gateway-logged": gateway_logged,
    "transfers-pair": transfers_pair,
    "access-at-home": access_at_home,
    "emergency-reviewed": emergency_reviewed,
    "aggregates-private": aggregates_private,
    "slates-replay": slates_replay,
    "policy-approved": policy_approved,
    "board-seated": board_seated,
    "monitor-admitted": monitor_admitted,
    "orders-obeyed": orders_obeyed,
    "agreement-signed": agreement_signed,
    "all-labelled": all_labelled,
    "appointments-consented": appointments_consented,
    "keys-rotated": keys_rotated,
    "lawful-at-home": lawful_at_home,
    "moved-and-erased": moved_and_erased,
    "quarantine-closed": quarantine_closed,
    "nothing-recorded": nothing_recorded,
}
