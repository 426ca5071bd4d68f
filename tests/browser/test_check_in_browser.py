"""The mark in the page is green only for what truly held: every altered answer turns it red, with words."""

import json
import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from lightwell.wire.keys import SigningKey, Verifier
from lightwell.wire.promise import Promise, make_promise, open_promise
from tests.browser.conftest import Enter

Answer = dict[str, Any]


def promised(proof: dict[str, Any]) -> Promise:
    return open_promise(proof["promise"], Verifier.from_vkey(proof["vkey"]))


def swap_two(answer: Answer) -> None:
    answer["items"][0], answer["items"][1] = answer["items"][1], answer["items"][0]


def drop_one(answer: Answer) -> None:
    answer["items"].pop()


def raise_a_score(answer: Answer) -> None:
    answer["items"][0]["score"] += 1


def other_inputs(answer: Answer) -> None:
    answer["proof"]["inputs_digest"] = "00" * 32


def other_entry(answer: Answer) -> None:
    entry = json.loads(answer["proof"]["entry"])
    entry["at"] += 60
    answer["proof"]["entry"] = json.dumps(entry, sort_keys=True, separators=(",", ":"))


def later_promise(answer: Answer) -> None:
    proof = answer["proof"]
    by = promised(proof).by
    proof["promise"] = proof["promise"].replace(f"\n{by}\n", f"\n{by + 3600}\n")


def unsigned_promise(answer: Answer) -> None:
    text = answer["proof"]["promise"].rpartition("\n\n")[0]
    answer["proof"]["promise"] = text + "\n"


def key_off_the_roster(answer: Answer) -> None:
    # All else holds: the promise is truly signed, by a key of the ledger's name that is nobody's seat.
    proof = answer["proof"]
    key = SigningKey.generate(proof["origin"], secrets.token_bytes(32))
    proof["promise"] = make_promise(key, proof["origin"], bytes.fromhex(proof["leaf"]), promised(proof).by)
    proof["vkey"] = key.verifier().vkey()


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (swap_two, "The slate shown is not the slate committed"),
        (drop_one, "The slate shown is not the slate committed"),
        (raise_a_score, "The slate shown is not the slate committed"),
        (other_inputs, "The slate shown is not the slate committed"),
        (other_entry, "The leaf is not the hash of the entry"),
        (later_promise, "The signature is not good"),
        (unsigned_promise, "Not a signed note"),
        (key_off_the_roster, "The roster does not name this key"),
    ],
)
def test_altered_answer_is_not_called_checked(
    enter: Enter, viewer: tuple[str, str], alter: Callable[[Answer], None], words: str
) -> None:
    page = enter("/sounds", viewer[1])

    def altered(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        if len(answer["items"]) > 1:
            alter(answer)
        route.fulfill(response=response, json=answer)

    page.route("**/api/feed?*", altered)
    page.goto("/")
    page.click("[data-tab=newest]")
    chip = page.locator(".slide:not([inert]) .chip")
    expect(chip).to_have_class(re.compile("is-failed"))
    expect(chip).to_contain_text("Not as promised")
    expect(chip).to_contain_text(words)


def test_ledger_that_shows_another_tree_is_not_called_checked(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/sounds", viewer[1])

    def altered(route: Route) -> None:
        response = route.fetch()
        if response.status != 200:
            route.fulfill(response=response)
            return
        answer = response.json()
        answer["proof"] = [*answer["proof"][1:], "A" * 43 + "="]
        route.fulfill(response=response, json=answer)

    page.route("**/ledger/proof?*", altered)
    page.goto("/")
    page.click("[data-tab=newest]")
    chip = page.locator(".slide:not([inert]) .chip")
    expect(chip).to_have_class(re.compile("is-failed"))
    expect(chip).to_contain_text("The proof does not lead to the checkpoint's root")


def test_without_a_roster_the_mark_says_not_known(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/sounds", viewer[1])
    page.route("**/api/agreement", lambda route: route.abort())
    page.goto("/")
    page.click("[data-tab=newest]")
    chip = page.locator(".slide:not([inert]) .chip")
    expect(chip).to_have_class(re.compile("is-unknown"))
    expect(chip).to_contain_text("Not known")
