"""Measures how long after a revocation each process of a cell refuses: both web processes, and a worker.

A cell runs as in production: two web processes behind one port, a worker, the oversight server that cosigns.
Readers look under the grant as fast as they are answered, some over connections that end in one web process,
some in the other, and one in a process of its own that opens the cell as the worker does. The clock starts
before the revocation is sent and ends when each of them is first refused; none may be shown anything later.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench.load import quantile
from lightwell.apps.demo.deployment import Deployment, badges, prepare
from lightwell.apps.demo.person import Details, Person
from lightwell.apps.demo.staff_desk import StaffDesk
from lightwell.apps.demo.supervisor import Supervisor
from lightwell.wire.keys import SigningKey

ROUNDS = 12
GOAL_SECONDS = 1.0
EMAIL = "user.contact.email"
_WORKER = """
import sys, time
from pathlib import Path
import lightwell.apps.web
from lightwell.apps.startup import open_cell
from lightwell.residency import access_read
from lightwell.residency.access_models import StaffRow
from lightwell.residency.staff import principal_of
cell = open_cell(Path(sys.argv[1]), "worker")
for line in sys.stdin:
    staff_id, request_id = line.split()
    print("looking", flush=True)
    while True:
        with cell.database.write() as session:
            who = principal_of(cell, session, session.get_one(StaffRow, staff_id))
            shown = access_read.read(cell, session, who, request_id)
        if shown.reason:
            print(time.time(), shown.reason, flush=True)
            break
        time.sleep(0.02)
"""


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="lightwell-revoke-") as folder, _running(Path(folder)) as cell:
        took = _rounds(cell)
    rows = []
    for name, seconds in took.items():
        shown = ", ".join(f"p{part} {quantile(seconds, part / 100) * 1000:.0f}" for part in (50, 90, 99))
        rows.append(
            {
                "name": f"revoke_{name}",
                "value": round(max(seconds), 3),
                "unit": f"s at most, of {len(seconds)} revocations ({shown} ms)",
                "better": "lower",
                "goal": GOAL_SECONDS,
                "peer": None,
                "ratio": None,
            }
        )
    return rows


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[Deployment]:
    deployment = prepare(folder, fixed_ports=False)
    wanted = [child for child in deployment.children() if child.name in ("us web", "us worker", "oversight")]
    with Supervisor(deployment.folder) as supervisor:
        supervisor.start(wanted)
        yield deployment


def _rounds(deployment: Deployment) -> dict[str, list[float]]:
    url = deployment.urls["us"]
    keys = {badge.ident: badge.key for badge in badges(deployment, "us")}
    took: dict[str, list[float]] = {"web_1": [], "web_2": [], "worker": []}
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(deployment.cell("us"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        readers = _one_for_each_process(url, keys["analyst"])
        for round_number in range(ROUNDS):
            handle = f"subject.{round_number}"
            _live(url, handle)
            with StaffDesk(url, keys["approver"]) as approver:
                _round(readers, approver, worker, handle, took)
            # The count of accounts in a day is a limit of its own; it is not what is measured here.
            _forget_requests(deployment)
    finally:
        worker.terminate()
        worker.wait()
    return took


def _round(
    readers: dict[str, StaffDesk],
    approver: StaffDesk,
    worker: subprocess.Popen[str],
    handle: str,
    took: dict[str, list[float]],
) -> None:
    first = next(iter(readers.values()))
    form = {"subject": handle, "fields": [EMAIL], "purpose": "account_support", "minutes": 10}
    request_id = first.http.post("/api/access/requests", json=form).raise_for_status().json()["request_id"]
    approver.http.post(f"/api/access/requests/{request_id}/approve").raise_for_status()
    path = f"/api/access/requests/{request_id}/fields"
    while first.http.get(path).status_code != 200:
        time.sleep(0.05)
    staff_id = first.http.get("/api/staff/session").json()["staff_id"]
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{staff_id} {request_id}\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "looking\n"
    refused: dict[str, float] = {}

    def look(name: str, desk: StaffDesk) -> None:
        while True:
            answer = desk.http.get(path)
            if answer.status_code == 403:
                refused[name] = time.time()
                return
            time.sleep(0.02)

    threads = [threading.Thread(target=look, args=pair) for pair in readers.items()]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    began = time.time()
    approver.http.post(f"/api/access/requests/{request_id}/revoke").raise_for_status()
    for thread in threads:
        thread.join(30)
    refused["worker"] = float(worker.stdout.readline().split()[0])
    for name, at in refused.items():
        took[name].append(at - began)
    # Once refused, refused for good: a later look shows nothing either.
    for desk in readers.values():
        assert desk.http.get(path).status_code == 403


def _one_for_each_process(url: str, key: SigningKey) -> dict[str, StaffDesk]:
    """Open connections until one ends in each of the two web processes."""
    found: dict[int, StaffDesk] = {}
    for _ in range(200):
        desk = StaffDesk(url, key)
        process = _server_of(desk.http)
        if process is None or process in found:
            desk.http.close()
        else:
            found[process] = desk
        if len(found) == 2:
            return {f"web_{place}": desk for place, desk in enumerate(found.values(), 1)}
    raise RuntimeError("all connections ended in one web process")


def _server_of(client: httpx.Client) -> int | None:
    """Find the process that holds the other end of a client's one open connection, in Linux's own tables."""
    answer = client.get("/api/status")
    stream = answer.extensions["network_stream"]
    ours, theirs = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        local, remote = (int(parts[n].rpartition(":")[2], 16) for n in (1, 2))
        if (local, remote) == (theirs[1], ours[1]):
            return _holder(f"socket:[{parts[9]}]")
    return None


def _holder(socket: str) -> int | None:
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for handle in os.listdir(f"/proc/{process}/fd"):
                if os.readlink(f"/proc/{process}/fd/{handle}") == socket:
                    return int(process)
    return None


def _live(url: str, handle: str) -> None:
    with Person(url) as person:
        person.sign_up(
            Details(
                handle=handle,
                display_name=handle,
                password="a long enough password",
                email=f"{handle}@bench.example",
                phone="+1 202 555 0143",
                birthday="1990-01-01",
                address="1 Bench Row",
            )
        )


def _forget_requests(deployment: Deployment) -> None:
    from sqlalchemy import update

    from lightwell.residency.access_models import AccessRequestRow
    from lightwell.residency.cell import Cell

    cell = Cell.open(deployment.cell("us"), process="bench")
    try:
        with cell.database.write() as session:
            day = 86_400_000
            session.execute(
                update(AccessRequestRow).values(
                    granted_at=AccessRequestRow.granted_at - day,
                    requested_at=AccessRequestRow.requested_at - day,
                )
            )
    finally:
        cell.close()
