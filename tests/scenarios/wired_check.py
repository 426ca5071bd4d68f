"""Runs steps of the demo's journey on cells whose processes each start in their network namespace.

Run inside oversight's namespace: `python -m tests.scenarios.wired_check WIRING.json`; the file holds the
folder, the hosts of all planes, and the words that enter each namespace. Writes `result.json` beside it.
"""

import dataclasses
import hashlib
import json
import secrets
import sys
from pathlib import Path

from lightwell.apps.demo.check import making
from lightwell.apps.demo.check import run as journey
from lightwell.apps.demo.check.canaries import Bird, hatch
from lightwell.apps.demo.check.planes import Journal, Planes
from lightwell.apps.demo.check.run import take, write_result
from lightwell.apps.demo.check.steps import Clock, StepFailed, wait_for
from lightwell.apps.demo.deployment import prepare
from lightwell.apps.demo.supervisor import Supervisor
from tests.factories.clips import portrait

STEPS = ("sign_up", "upload", "transcode", "publish", "video_arrives", "canary_not_found_abroad")


def video_arrives(planes: Planes, journal: Journal) -> str:
    """Wait until the guest of the other cell can fetch the video's film, which came through the gateways."""
    guest, video_id = journal.person("guest"), journal.need("video")

    def arrived() -> bool:
        answer = guest.http.get(f"/api/videos/{video_id}")
        return answer.status_code == 200 and answer.json()["status"] == "published"

    waited = wait_for("the video in the sg cell", arrived, planes.clock.limit(90, kept=25))
    film = guest.http.get(guest.http.get(f"/api/videos/{video_id}").json()["media"]["540"])
    if hashlib.sha256(film.content).hexdigest() != journal.facts["media 540"]:
        raise StepFailed("another film arrived than was published")
    return f"after {waited:.1f} s"


def hatch_out_there(cell: str, role: str) -> Bird:
    """Return an account whose owner connects from an address beyond oversight's namespace."""
    address = "10.88." + ".".join(str(2 + secrets.randbelow(250)) for _ in range(2))
    return dataclasses.replace(hatch(cell, role), source_ip=address)


def main() -> None:
    wiring = json.loads(Path(sys.argv[1]).read_text())
    vars(making)["hatch"] = hatch_out_there
    journey.STEPS["video_arrives"] = video_arrives
    folder = Path(wiring["folder"])
    deployment = prepare(folder / "data", fixed_ports=False, hosts=wiring["hosts"])
    inside = {name: tuple(words) for name, words in wiring["inside"].items()}
    deployment = dataclasses.replace(deployment, inside=inside)
    with Supervisor(deployment.oversight) as supervisor:
        supervisor.start(deployment.children(frozenset({"cleanroom"})))
        planes = Planes(deployment, supervisor.restart, Clock(240), portrait())
        try:
            write_result(take(planes, print, names=STEPS), folder / "result.json")
        finally:
            planes.close()


if __name__ == "__main__":
    main()
