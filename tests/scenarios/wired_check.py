"""Runs steps of the demo's journey on cells whose processes each start in their network namespace.

Run inside oversight's namespace: `python -m tests.scenarios.wired_check WIRING.json`; the file holds the
folder, the hosts of all planes, the words that enter each namespace, and each cell's stores. Writes beside it
`result.json`, `home.json` (what a search found in the home cell's database), `scan.json` (in all that `sg`
and oversight keep) and `planted.json` (the same, after one canary was put into each of their stores).
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import httpx
import psycopg

from lightwell.apps.demo import deployment as layout
from lightwell.apps.demo.check import making
from lightwell.apps.demo.check import run as journey
from lightwell.apps.demo.check.canaries import Bird, hatch
from lightwell.apps.demo.check.planes import Journal, Planes
from lightwell.apps.demo.check.run import PlantedValue, Result, take, write_result
from lightwell.apps.demo.check.steps import Clock, StepFailed, wait_for
from lightwell.apps.demo.deployment import Deployment, prepare
from lightwell.apps.demo.supervisor import Supervisor
from lightwell.base.objects import s3_store
from lightwell.base.settings import CellSettings, write
from lightwell.base.stream import Stream
from tests.factories import clips

STEPS = (
    "sign_up",
    "upload",
    "transcode",
    "publish",
    "feed_has_video",
    "receipt_verified",
    "video_arrives",
    "busy",
    "foreign_staff_refused",
    "replay_identical",
    "report_verifies",
    "canary_not_found_abroad",
)
IN_FILM = {
    "user.name": f"Annabeth Quillfeather-{secrets.token_hex(3)}",
    "user.biometric": f"face-{secrets.token_hex(6)}",
    "user.location.precise": f"+47.{secrets.randbelow(10**6):06d}-122.{secrets.randbelow(10**6):06d}/",
}
"""Canaries that travel in the uploaded film's own metadata: its maker's name, a face, a place."""


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


def busy(planes: Planes, journal: Journal) -> str:
    """Have protected values in all that people do at home: drafts, events, exports, mistakes."""
    maker, viewer = journal.person("maker"), journal.person("viewer")
    caption = " ".join(IN_FILM.values())
    draft = maker.make_video(maker.upload(planes.film), caption, None, publish=False)
    maker.wait_for_video(draft, {"ready"}, planes.clock.limit(60, kept=25))
    watched = {"video_id": journal.need("video"), "watch_ms": 900}
    for person in (viewer, journal.person("guest")):
        person.feed()
        person.tell([{"kind": kind, **watched} for kind in ("watch", "like", "share")])
    asked = 0
    for role, person in (("maker", maker), ("viewer", viewer)):
        details = journal.birds[role].details
        mistaken = (details.email, details.phone, details.address, *IN_FILM.values())
        for value in mistaken:
            with contextlib.suppress(httpx.InvalidURL):
                person.http.get(f"/api/videos/{value}", params={"q": value}, headers={"x-note": value})
            person.http.post("/api/session", json={"handle": value, "password": value})
            person.http.post("/api/videos", json={"upload_id": value, "caption": value})
            asked += 3
        person.http.get("/api/me/export").raise_for_status()
    return f"a draft kept, watched in both cells, {asked} mistaken requests, 2 exports"


def hatch_out_there(cell: str, role: str) -> Bird:
    """Return an account whose owner connects from an address beyond oversight's namespace."""
    address = "10.88." + ".".join(str(2 + secrets.randbelow(250)) for _ in range(2))
    return dataclasses.replace(hatch(cell, role), source_ip=address)


def tagged() -> Path:
    """Return a film whose metadata say who made it, whose face is in it, and where."""
    name, face, place = IN_FILM.values()
    said = (f"artist={name}", f"comment={face}", f"location={place}", f"description={name} at {place}")
    words = [word for one in said for word in ("-metadata", one)]
    return clips.make("tagged.mp4", "-i", str(clips.portrait()), "-c", "copy", *words)


def settle(folder: Path, stores: dict[str, Any]) -> None:
    """Say in each cell's settings where its stores are, before the demo lays out the rest."""
    for cell, its in stores.items():
        made = CellSettings(
            cell=cell,
            region=cell,
            url="",
            folder=folder / cell,
            database=its["database"],
            objects=its["objects"],
            events=its["events"],
        )
        write(made)
    fill = layout._fill_cell

    def fill_with_its_own(deployment: Deployment, name: str) -> None:
        # An S3 client finds its server in the environment, and this process lays out both cells.
        os.environ.update(stores[name]["environment"])
        fill(deployment, name)

    vars(layout)["_fill_cell"] = fill_with_its_own


def search(deployment: Deployment, folder: Path, stores: dict[str, Any], values: list[str]) -> None:
    """Search all that `sg` and oversight keep, twice: as it is, and with a canary in each of their stores."""
    os.environ.update(stores["environment"])
    database = stores["database"].replace("postgresql+psycopg", "postgresql")
    backup = folder / "backup"
    backup.mkdir()
    subprocess.run(["pg_dump", "--format=custom", f"--file={backup / 'sg.dump'}", database], check=True)
    with tarfile.open(backup / "sg.tar.gz", "w:gz") as made:
        made.add(deployment.cell("sg"), "sg")
    oversight, sg = deployment.urls["oversight"], deployment.urls["sg"]
    pages = [f"{oversight}/{page}?cell=us" for page in ("", "access", "flows", "entries", "findings")]
    pages += [f"{sg}/api/status", f"{sg}/api/agreement", f"{sg}/ledger/checkpoint"]
    keys = ["--cell", str(deployment.cell("sg")), "--home", str(deployment.cell("us"))]
    places = [str(deployment.oversight), stores["folder"], str(backup), *pages]
    scan(folder, "scan.json", *keys, *places)
    # From here on there are canaries on the wires, and it was not the cells that put them there.
    sizes = {wire: (folder / f"{wire}.cap").stat().st_size for wire in ("gates", "us", "sg")}
    (folder / "captured.json").write_text(json.dumps(sizes))
    name, face, place = (value.encode() for value in values)
    with psycopg.connect(database, autocommit=True) as leaky:
        leaky.execute("CREATE TABLE leak (value bytea)")
        leaky.execute("INSERT INTO leak VALUES (%s)", (hashlib.sha1(name).digest(),))
    s3_store(stores["objects"]).put("leak", face.hex().encode())
    stream = Stream(stores["events"], "leak", "leak")
    stream.append([("leak", "leak", place)])
    stream.close()
    (deployment.oversight / "logs" / "leak.log").write_bytes(b"to " + name[::-1])
    leaks = [database, stores["objects"], stores["events"], str(deployment.oversight / "logs")]
    scan(folder, "planted.json", *leaks)


def scan(folder: Path, file: str, *words: str) -> None:
    """Run the command that an auditor would run, and keep what it says."""
    command = [str(Path(sys.executable).with_name("lightwell")), "data", "scan", "--json"]
    canaries = ["--canaries", str(folder / "canaries.json")]
    planted = json.loads((folder / "result.json").read_text())["canaries"]
    home = [one for one in planted if one["cell"] == "us"]
    (folder / "canaries.json").write_text(json.dumps(home))
    done = subprocess.run([*command, *canaries, *words], capture_output=True, text=True, check=False)
    print(file, done.returncode, done.stderr)
    if done.returncode in (0, 1):
        (folder / file).write_text(done.stdout)


def main() -> None:
    wiring = json.loads(Path(sys.argv[1]).read_text())
    vars(making)["hatch"] = hatch_out_there
    journey.STEPS |= {"video_arrives": video_arrives, "busy": busy}
    folder, stores = Path(wiring["folder"]), wiring["stores"]
    settle(folder / "data", stores)
    deployment = prepare(folder / "data", fixed_ports=False, hosts=wiring["hosts"])
    inside = {name: tuple(words) for name, words in wiring["inside"].items()}
    deployment = dataclasses.replace(deployment, inside=inside)
    with Supervisor(deployment.oversight) as supervisor:
        supervisor.start(
            dataclasses.replace(child, environment=stores.get(child.name[:2], {}).get("environment", {}))
            for child in deployment.children()
        )
        planes = Planes(deployment, supervisor.restart, Clock(240), tagged())
        try:
            result = take(planes, print, names=STEPS)
            more = [PlantedValue("us", category, value) for category, value in IN_FILM.items()]
            result = Result(result.steps, result.canaries + more)
            write_result(result, folder / "result.json")
            # At home the marks that the cell itself made are found, and nothing that says more.
            home = stores["us"]["database"].replace("postgresql+psycopg", "postgresql")
            scan(folder, "home.json", "--home", str(deployment.cell("us")), home)
            search(deployment, folder, stores["sg"], [c.value for c in more])
        finally:
            planes.close()


if __name__ == "__main__":
    main()
