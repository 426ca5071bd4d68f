"""What the check works on: a running demo's addresses, the keys an outsider has, and how to restart it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from lightwell.agreement.roster import seats_of
from lightwell.apps.demo.check.canaries import Bird
from lightwell.apps.demo.check.reader import LedgerReader
from lightwell.apps.demo.check.steps import Clock, StepFailed
from lightwell.apps.demo.deployment import CELLS, Deployment
from lightwell.apps.demo.person import Person
from lightwell.wire.checkpoint import Checkpoint


@dataclass
class Planes:
    """A running demo as the check reaches it.

    Args:
        deployment: where everything lies and answers.
        restart: stops and starts every process; returns when all answer again.
        clock: the time left for the whole check.
        film: the file to upload.
        found_at_rest: by cell, what was wrong with its ledger's files before the check started its processes.
    """

    deployment: Deployment
    restart: Callable[[], None]
    clock: Clock
    film: Path
    found_at_rest: dict[str, list[str]] = field(default_factory=dict)
    http: dict[str, httpx.Client] = field(init=False)
    readers: dict[str, LedgerReader] = field(init=False)

    def __post_init__(self) -> None:
        urls = self.deployment.urls
        self.http = {
            name: httpx.Client(base_url=url, timeout=10.0, trust_env=False) for name, url in urls.items()
        }
        seats = self.deployment.roster()
        witnesses = [seat.vkey for seat in seats_of(seats, "witness")]
        self.readers = {
            cell: LedgerReader(self.http[cell], cell, seats_of(seats, "ledger", cell)[0].vkey, witnesses)
            for cell in CELLS
        }

    def close(self) -> None:
        """Close every connection."""
        for client in self.http.values():
            client.close()


@dataclass
class Journal:
    """What one step leaves for the later ones; a step asks for it by `need`."""

    birds: dict[str, Bird] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    start: dict[str, Checkpoint] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def need(self, name: str) -> Any:
        """Return what an earlier step has left as `name`; raises `StepFailed` if it did not get so far."""
        if name not in self.facts:
            raise StepFailed(f"not tried: the step that gives the {name.replace('_', ' ')} did not hold")
        return self.facts[name]

    def person(self, role: str) -> Person:
        """Return the signed-in person of a role; raises `StepFailed` if sign-up did not hold."""
        if role not in self.people:
            raise StepFailed(f"not tried: there is no {role}, sign_up did not hold")
        return self.people[role]
