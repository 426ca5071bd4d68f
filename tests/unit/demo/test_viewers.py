import random

from lightwell.apps.demo.personas import Taste
from lightwell.apps.demo.viewers import reactions

TASTE = Taste("us", "ana", "Ana", {"slowlight": 1.0}, 0.2)


def item(caption: str, status: str = "published") -> dict[str, object]:
    video = {"video_id": "00" * 8, "status": status, "caption": caption, "duration_ms": 8000}
    return {"video": video, "liked": False, "follows": False}


def watched(caption: str) -> float:
    rng = random.Random(1)
    return (
        sum(reactions(TASTE.likes, TASTE.patience, item(caption), rng)[0]["watch_ms"] for _ in range(50)) / 50
    )


def test_what_is_to_their_taste_is_watched_longer() -> None:
    assert watched("evening #slowlight") > 3 * watched("evening #geometry")


def test_what_is_not_to_their_taste_is_skipped() -> None:
    rng = random.Random(1)
    kinds = [
        event["kind"]
        for _ in range(50)
        for event in reactions(TASTE.likes, TASTE.patience, item("a #geometry"), rng)
    ]
    assert kinds.count("skip") > 25
    assert "like" not in kinds


def test_a_withdrawn_video_is_left_alone() -> None:
    assert (
        reactions(
            TASTE.likes, TASTE.patience, item("evening #slowlight", status="withdrawn"), random.Random(1)
        )
        == []
    )
