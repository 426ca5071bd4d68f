"""Steps from sign-up to the feed: a person publishes a video and another one gets it in a slate."""

import hashlib
import time

from lightwell.apps.demo.check.canaries import hatch
from lightwell.apps.demo.check.planes import Journal, Planes
from lightwell.apps.demo.check.steps import StepFailed, wait_for
from lightwell.apps.demo.person import PIECE_BYTES, Person, expect

ROLES = {"maker": "us", "viewer": "us", "guest": "sg"}
"""Who signs up where: a maker and a viewer at home, a guest in the other cell."""

CAPTION = "a journey in fifteen steps #check #lightwell"


def sign_up(planes: Planes, journal: Journal) -> str:
    """Create an account of canaries for each role and read the own data back."""
    for role, cell in ROLES.items():
        bird = hatch(cell, role)
        person = Person(planes.deployment.urls[cell], bird.source_ip)
        journal.people.pop(role, None)
        person.sign_up(bird.details)
        journal.birds[role] = bird
        journal.people[role] = person
        own = expect(person.http.get("/api/me"), 200)
        planted = {
            "email": bird.details.email,
            "phone": bird.details.phone,
            "birthday": bird.details.birthday,
            "address": bird.details.address,
            "sign_in_ip": bird.source_ip,
            "home_cell": cell,
        }
        wrong = [name for name, value in planted.items() if own.get(name) != value]
        if wrong:
            raise StepFailed(f"the {role}'s own data does not come back: {', '.join(wrong)}")
    anonymous = planes.http["us"].get("/api/me")
    if anonymous.status_code != 401:
        raise StepFailed(f"/api/me answered {anonymous.status_code} to nobody")
    return f"{len(ROLES)} accounts in 2 cells; each reads its own sealed data back, nobody else does"


def upload(planes: Planes, journal: Journal) -> str:
    """Upload the film by tus, dropped half-way and resumed where the cell says."""
    maker = journal.person("maker")
    data = planes.film.read_bytes()
    headers = {"Tus-Resumable": "1.0.0"}
    made = maker.http.post("/api/uploads", headers={**headers, "Upload-Length": str(len(data))})
    if made.status_code != 201:
        raise StepFailed(f"creating the upload answered {made.status_code}: {made.text[:200]}")
    place = made.headers["Location"]
    patch = {**headers, "Content-Type": "application/offset+octet-stream"}
    half = max(1, min(len(data) // 2, PIECE_BYTES))
    maker.http.patch(place, content=data[:half], headers={**patch, "Upload-Offset": "0"})
    wrong = maker.http.patch(place, content=b"x", headers={**patch, "Upload-Offset": str(half + 7)})
    if wrong.status_code != 409:
        raise StepFailed(f"a piece at a wrong offset was answered {wrong.status_code}, not 409")
    offset = int(maker.http.head(place, headers=headers).headers["Upload-Offset"])
    if offset != half:
        raise StepFailed(f"the cell has {offset} bytes, {half} were sent")
    while offset < len(data):
        piece = data[offset : offset + PIECE_BYTES]
        sent = maker.http.patch(place, content=piece, headers={**patch, "Upload-Offset": str(offset)})
        if sent.status_code != 204:
            raise StepFailed(f"a piece was answered {sent.status_code}: {sent.text[:200]}")
        offset = int(sent.headers["Upload-Offset"])
    journal.facts["upload"] = place.rstrip("/").rsplit("/", 1)[1]
    return f"{len(data):,} bytes by tus, resumed at {half:,}"


def transcode(planes: Planes, journal: Journal) -> str:
    """Make a video of the upload with a sound under it, and look at the renditions."""
    maker = journal.person("maker")
    upload_id = journal.need("upload")
    library = maker.sounds()
    if len(library) < 12:
        raise StepFailed(f"the sounds library has {len(library)} clips, not 12 or more")
    sound = library[0]
    video_id = maker.make_video(upload_id, CAPTION, str(sound["sound_id"]), 500, publish=False)
    started = time.monotonic()
    video = maker.wait_for_video(video_id, {"ready"}, planes.clock.limit(100, kept=35))
    took = time.monotonic() - started
    for name in ("540", "720", "poster"):
        media = maker.http.get(video["media"][name])
        if media.status_code != 200:
            raise StepFailed(f"the {name} rendition answered {media.status_code} to its maker")
        journal.facts[f"media {name}"] = hashlib.sha256(media.content).hexdigest()
        if name != "poster" and not 0 < media.content.find(b"moov") < media.content.find(b"mdat"):
            raise StepFailed(f"the {name} rendition does not have its index in front")
    part = maker.http.get(video["media"]["540"], headers={"Range": "bytes=0-99"})
    if part.status_code != 206 or len(part.content) != 100:
        raise StepFailed(f"a range of the 540 rendition answered {part.status_code}")
    if planes.http["us"].get(video["media"]["540"]).status_code == 200:
        raise StepFailed("an unpublished video is shown to nobody in particular")
    journal.facts["ready_video"] = video_id
    size = f"{video['width']}x{video['height']}"
    return f"{size}, {video['duration_ms'] / 1000:.1f} s with “{sound['title']}” under it, in {took:.1f} s"


def publish(planes: Planes, journal: Journal) -> str:
    """Publish the video; from now on anybody may watch it."""
    maker = journal.person("maker")
    video_id = journal.need("ready_video")
    expect(maker.http.post(f"/api/videos/{video_id}/publish"), 200)
    video = maker.wait_for_video(video_id, {"published"}, planes.clock.limit(10, kept=30))
    seen = planes.http["us"].get(video["media"]["540"])
    if hashlib.sha256(seen.content).hexdigest() != journal.facts["media 540"]:
        raise StepFailed("the published rendition is not the one that was made")
    journal.facts["video"] = video_id
    return f"video {video_id} by @{maker.handle}"


def feed_has_video(planes: Planes, journal: Journal) -> str:
    """Wait until the viewer's feed has the video, then watch and like it."""
    viewer, maker = journal.person("viewer"), journal.person("maker")
    video_id = journal.need("video")
    viewer.tell([{"kind": "follow", "video_id": video_id}])
    found: dict[str, int] = {}
    asked = 0

    def look() -> bool:
        nonlocal asked
        for tab in ("for_you", "newest"):
            answer = viewer.feed(tab, 30)
            asked += 1
            for item in answer["items"]:
                if item["video"]["video_id"] == video_id:
                    found.setdefault(tab, item["place"])
                    journal.facts["slate"] = answer
        return "for_you" in found

    waited = wait_for(
        f"@{maker.handle}'s video in the For You feed", look, planes.clock.limit(30, kept=30), every=0.5
    )
    viewer.tell(
        [
            {"kind": "watch", "video_id": video_id, "watch_ms": 5000},
            {"kind": "like", "video_id": video_id},
        ]
    )

    def counted() -> bool:
        return int(viewer.video(video_id)["counts"]["likes"]) >= 1

    wait_for("the like in the video's counts", counted, planes.clock.limit(10, kept=30))
    return f"place {found['for_you']} of For You after {waited:.1f} s and {asked} slates; watched and liked"
