"""Each ranking policy that a ledger adopts is read from the cell and held against the entries about it."""

import hashlib
import time
from typing import Final

import httpx

from lightwell.oversight.store import Store
from lightwell.recommender.policy import PolicyError, RankingPolicy, parse, promotion_digest
from lightwell.wire.entries import EntryError, PolicyAdopted, PromotionListed, decode

_AGAIN_SECONDS: Final = 5.0
_MOST_ENTRIES: Final = 20_000


class PolicyWatch:
    """Reads one cell's policies, each once; what a policy holds and no entry lists is a breach.

    Args:
        store: what was followed.
        cell: whose ledger.
        url: where the cell answers.
        client: to ask it with.
    """

    def __init__(self, store: Store, cell: str, url: str, client: httpx.Client) -> None:
        self._store, self._cell, self._url, self._client = store, cell, url, client
        self._checked: set[int] = set()
        self._asked_at = 0.0

    def check(self) -> None:
        """Look at adopted policies that were not looked at yet, not more often than every few seconds."""
        if time.monotonic() - self._asked_at < _AGAIN_SECONDS and self._asked_at:
            return
        adopted = self._store.entries(self._cell, ["PolicyAdopted"], limit=_MOST_ENTRIES)
        for place, row in enumerate(adopted):
            if row["idx"] not in self._checked:
                self._asked_at = time.monotonic()
                try:
                    entry = decode(row["data"])
                except EntryError:
                    # The follower has raised it already.
                    self._checked.add(row["idx"])
                    continue
                if isinstance(entry, PolicyAdopted):
                    self._read(row["idx"], entry, is_founding=place == 0)

    def _read(self, index: int, entry: PolicyAdopted, *, is_founding: bool) -> None:
        key = f"ranking-policy-{index}"
        try:
            answer = self._client.get(f"{self._url}/api/policies/{entry.digest}")
        except httpx.HTTPError:
            return
        if answer.is_server_error:
            # A cell that is away, or starting, is asked again; that it withholds nothing is others' to judge.
            return
        if answer.status_code != httpx.codes.OK:
            self._raise(key, index, "The cell does not show a ranking policy it adopted", "open", entry, "")
            return
        self._checked.add(index)
        if hashlib.sha256(answer.content).hexdigest() != entry.digest:
            said = "What it shows has another digest."
            self._raise(key, index, "The ranking policy shown is not the one adopted", "breach", entry, said)
            return
        try:
            policy = parse(answer.content)
        except PolicyError as error:
            self._raise(key, index, "A ranking policy cannot be read here", "open", entry, f"{error}.")
            return
        fault = self._fault(index, policy, is_founding=is_founding)
        if fault:
            title = "A ranking policy holds what nobody approved"
            self._raise(key, index, title, "breach", entry, fault)
        else:
            self._store.close_finding(self._cell, key)

    def _fault(self, index: int, policy: RankingPolicy, *, is_founding: bool) -> str:
        if is_founding:
            # It was approved by nobody but the parties to the agreement, who agreed on no promotion.
            if policy.promotions:
                return f"The founding policy promotes {len(policy.promotions)} videos."
            return "The founding policy names a ranker of others." if policy.external else ""
        listed = set()
        for row in self._store.entries(self._cell, ["PromotionListed"], limit=_MOST_ENTRIES):
            if row["idx"] < index:
                try:
                    entry = decode(row["data"])
                except EntryError:
                    continue
                if isinstance(entry, PromotionListed) and entry.policy == policy.digest:
                    listed.add(entry.promotion)
        hidden = {promotion_digest(promotion) for promotion in policy.promotions} - listed
        return f"{len(hidden)} of its promotions stand in no earlier entry." if hidden else ""

    def _raise(self, key: str, index: int, title: str, state: str, entry: PolicyAdopted, said: str) -> None:
        self._store.raise_finding(
            self._cell,
            key,
            area="feed",
            title=title,
            detail=f"Entry {index} adopts ranking policy {entry.digest[:12]}. {said}".strip(),
            entries=[index],
            state=state,
        )
