"""A ranker of another organisation, whole: it likes short videos and new ones, and needs Python alone."""

import json
import sys


def scores(question: dict) -> list[int]:
    """Score each candidate from -1000 to 1000 by two of its features."""
    names = question["features"]
    duration, age = (names.index(name) if name in names else None for name in ("duration", "age"))
    found = []
    for _video, row in question["candidates"]:
        short = 128 - row[duration] if duration is not None else 0
        new = 128 - row[age] if age is not None else 0
        found.append(max(-1000, min(1000, 4 * short + 2 * new)))
    return found


def main() -> None:
    """Answer questions until there are no more."""
    while True:
        prefix = sys.stdin.buffer.read(4)
        if len(prefix) < 4:
            return
        question = json.loads(sys.stdin.buffer.read(int.from_bytes(prefix, "big")))
        answer = json.dumps({"v": 1, "scores": scores(question)}).encode()
        sys.stdout.buffer.write(len(answer).to_bytes(4, "big") + answer)
        sys.stdout.buffer.flush()


main()
