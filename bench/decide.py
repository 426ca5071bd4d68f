"""Policy decisions a second on one core: those a cell asks all day, and those that Cedar has to answer anew.

`decide` is what a running cell does: feed, own data, gateway and staff ask about the same kinds of data again
and again, each time for another account. `decide_uncached` forgets every answer before each question, so that
Cedar evaluates its policies each time; what it holds of askers and fields stays.
"""

import time
from pathlib import Path
from typing import Any

from lightwell.agreement.load import parse
from lightwell.residency.decide import Decider, Grant, Principal, Resource

GOAL = 20_000
ROUNDS = 20_000
NOW = 1_000_000_000


def measure() -> list[dict[str, Any]]:
    file = Path(__file__).parents[1] / "agreements" / "us-2022-draft.toml"
    decider = Decider(parse(file.read_text("utf-8")), "us")
    _ask(decider, 100)
    begun = time.process_time()
    asked = _ask(decider, ROUNDS)
    again = asked / (time.process_time() - begun)
    begun, asked = time.process_time(), 0
    for _ in range(ROUNDS // 20):
        # Each round asks six different questions, so each of them is new to the decider.
        decider.forget_answers()
        asked += _ask(decider, 1)
    anew = asked / (time.process_time() - begun)
    return [_row("decide", again), _row("decide_uncached", anew)]


def _ask(decider: Decider, rounds: int) -> int:
    gateway = Principal("process", "gateway", "gateway")
    feed, room = Principal("process", "feed", "feed"), Principal("process", "cleanroom", "cleanroom")
    staff = Principal("staff", "s", "analyst", "us", "operator", vetted=True)
    for number in range(rounds):
        account = f"{number:016x}"
        grant = Grant(
            "r",
            "s",
            "us",
            account,
            ("user.contact.email",),
            "account_support",
            1,
            NOW - 1,
            NOW + 60_000,
            sequenced=True,
        )
        mine = Resource("user.contact.email", owner=account)
        decider.decide(Principal("account", account, "self"), "use_own", mine)
        decider.decide(feed, "rank", Resource("user.behavior", owner=account))
        decider.decide(room, "replay", Resource("user.behavior"))
        crossing = Resource("user.content.public", bound_for="sg")
        decider.decide(gateway, "cross", crossing, "public-video")
        decider.decide(staff, "ask", mine, "account_support")
        decider.decide(staff, "read_granted", mine, "account_support", grant, NOW)
    return 6 * rounds


def _row(name: str, value: float) -> dict[str, Any]:
    unit = "decisions/s on one core"
    blank = {"peer": None, "ratio": None}
    return {"name": name, "value": round(value), "unit": unit, "better": "higher", "goal": GOAL, **blank}
