"""How many fields of accounts one core seals and opens in a second, under permits, with uses counted."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lightwell.product.accounts.models  # noqa: F401  the sealed column
from lightwell.agreement.load import parse
from lightwell.base.db import Database
from lightwell.residency.decide import Decider, Principal, Resource
from lightwell.residency.keys import KeyVault

GOAL = 100_000
ACCOUNTS = 1000
ROUNDS = 30
AGREEMENT = Path(__file__).parents[1] / "agreements" / "us-2022-draft.toml"
SIZES = (32, 2000)


def measure() -> list[dict[str, Any]]:
    """Seal and open e-mail addresses (32 bytes) and records (2,000 bytes) of a thousand accounts, in turn."""
    rows = []
    for size in SIZES:
        done = subprocess.run(
            [sys.executable, "-m", "bench.seal", str(size)], check=True, capture_output=True, text=True
        )
        value = int(done.stdout)
        name = "seal" if size == SIZES[0] else "seal_record"
        goal = GOAL if size == SIZES[0] else None
        rows.append(
            {
                "name": name,
                "value": value,
                "unit": f"seal or unseal of {size} bytes/s, one core",
                "better": "more",
                "goal": goal,
                "peer": None,
                "ratio": None if goal is None else round(value / goal, 2),
            }
        )
    return rows


def rate(size: int, folder: Path) -> int:
    """Return operations in a second of processor time, the best of several rounds over all accounts."""
    vault = KeyVault.create(folder, "us")
    database = Database(f"sqlite:///{folder / 'cell.db'}")
    database.create_all()
    decider = Decider(parse(AGREEMENT.read_text("utf-8")), "us")
    people = [os.urandom(8).hex() for _ in range(ACCOUNTS)]
    plain = os.urandom(size)
    best = float("inf")
    with database.write() as session:
        vault.new_account_keys(session, people)
        permits = [
            decider.decide(
                Principal(kind="account", id=person, role="self"),
                "use_own",
                Resource(category="user.contact.email", owner=person),
            )
            for person in people
        ]
        for _ in range(ROUNDS):
            begun = time.process_time()
            sealed = [vault.seal(session, person, "accounts", "email", person, plain) for person in people]
            for person, permit, held in zip(people, permits, sealed, strict=True):
                vault.unseal(permit, session, person, "accounts", "email", person, held)
            best = min(best, time.process_time() - begun)
    return round(2 * ACCOUNTS / best)


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp())
    try:
        sys.stdout.write(f"{rate(int(sys.argv[1]), place)}\n")
    finally:
        shutil.rmtree(place)
