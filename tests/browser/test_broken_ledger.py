"""A ledger that does not hold is told in plain words, and that stays on record, whatever holds later."""

import re
import secrets
from typing import Any

from playwright.sync_api import Page, Route, expect

from lightwell.apps.demo.deployment import Deployment
from lightwell.wire.keys import COSIGNATURE, SigningKey, Verifier
from lightwell.wire.promise import make_promise, open_promise
from tests.browser.conftest import Enter, until
from tests.browser.impostor import Impostor, altered_roster, due_soon, true_leaves
from tests.browser.receipts_page import (
    CHIP,
    RECEIPTS,
    check_now,
    open_first,
    open_list,
    seen_size,
    settled,
    standings,
    stays_red,
)

Viewer = tuple[str, str]


def test_entry_dropped_after_its_promise_is_a_broken_promise(
    enter: Enter, viewer: Viewer, ledger_key: SigningKey
) -> None:
    page = enter("/sounds", viewer[1])

    page.route("**/api/feed?*", due_soon(ledger_key))
    page.route("**/ledger/proof?*", lambda route: route.fulfill(status=404, json={}))
    page.goto("/")
    page.click("[data-tab=newest]")
    expect(page.locator(CHIP)).to_contain_text("The promise was broken")
    open_list(page)
    stays_red(page, "The promise was broken: the entry was due at")


def test_promise_that_is_not_due_yet_is_not_called_broken(enter: Enter, viewer: Viewer) -> None:
    page = enter("/sounds", viewer[1])
    page.route("**/ledger/proof?*", lambda route: route.fulfill(status=404, json={}))
    page.goto("/")
    expect(page.locator(CHIP)).to_have_class(re.compile("is-held"))
    open_list(page)
    assert standings(page) == {"promised"}
    expect(page.locator("#sum")).to_contain_text("promised")


def test_promise_is_not_called_broken_while_the_ledger_does_not_answer(
    enter: Enter, viewer: Viewer, ledger_key: SigningKey
) -> None:
    page = enter("/sounds", viewer[1])
    page.route("**/api/feed?*", due_soon(ledger_key))
    page.route("**/ledger/proof?*", lambda route: route.fulfill(status=503, json={}))
    page.goto("/")
    expect(page.locator(CHIP)).to_have_class(re.compile("is-held"))
    page.wait_for_timeout(8000)
    open_list(page)
    assert standings(page) == {"promised"}
    expect(page.locator("#sum")).to_contain_text("Could not be checked now. The ledger answered 503.")


def test_truncated_ledger_is_told(watched: Page, url: str, ledger_key: SigningKey) -> None:
    Impostor(true_leaves(url)[: seen_size(watched) - 2], ledger_key).serve(watched)
    check_now(watched)
    stays_red(watched, "The ledger was truncated: it shows")


def test_rewritten_ledger_is_told(watched: Page, url: str, viewer: Viewer, ledger_key: SigningKey) -> None:
    # The last entry is another one, and more follow: what the browser saw before is not its beginning.
    leaves = true_leaves(url)[: seen_size(watched)]
    leaves[-1] = secrets.token_bytes(32)
    Impostor([*leaves, secrets.token_bytes(32), secrets.token_bytes(32)], ledger_key).serve(watched)
    check_now(watched)
    stays_red(watched, "The ledger was rewritten: its")


def test_forked_checkpoint_of_the_same_size_is_told(watched: Page, url: str, ledger_key: SigningKey) -> None:
    leaves = true_leaves(url)[: seen_size(watched)]
    leaves[0] = secrets.token_bytes(32)
    Impostor(leaves, ledger_key).serve(watched)
    check_now(watched)
    stays_red(watched, "The ledger was forked: it signed two different trees of")
    watched.goto("/proof")
    settled(watched)
    shown = watched.locator(".ledger-card pre").all_text_contents()
    assert len(shown) == 2
    assert shown[0] != shown[1]
    assert all(ledger_key.name in note for note in shown)


def test_checkpoint_of_another_key_is_told(watched: Page, url: str, ledger_key: SigningKey) -> None:
    other = SigningKey.generate(ledger_key.name, secrets.token_bytes(32))
    Impostor(true_leaves(url), other).serve(watched)
    check_now(watched)
    stays_red(watched, "The newest checkpoint is not signed by the ledger's key.")


def test_ledger_of_another_name_is_told(watched: Page, url: str) -> None:
    Impostor(true_leaves(url), SigningKey.generate("lightwell/other", secrets.token_bytes(32))).serve(watched)
    check_now(watched)
    stays_red(watched, "This address shows another ledger now: lightwell/other, and not lightwell/us.")


def test_forged_cosignature_is_told(
    watched: Page, url: str, ledger_key: SigningKey, deployment: Deployment
) -> None:
    impostor = Impostor(true_leaves(url), ledger_key, deployment.key("witness"))
    body, line = impostor.checkpoint.rsplit("— ", 1)
    impostor.checkpoint = f"{body}— {line[:-8]}{'A' if line[-8] != 'A' else 'B'}{line[-7:]}"
    impostor.serve(watched)
    check_now(watched)
    stays_red(watched, "a cosignature in the name of lightwell/witness that is not good")


def test_second_view_shown_only_with_proofs_is_told(
    enter: Enter, viewer: Viewer, url: str, ledger_key: SigningKey
) -> None:
    """Proofs come from one tree, checkpoints from another: each is in order in itself."""
    page = enter("/sounds", viewer[1])
    honest = true_leaves(url)

    def view(route: Route) -> None:
        leaf = bytes.fromhex(route.request.url.rpartition("=")[2])
        Impostor([*honest, secrets.token_bytes(32), leaf], ledger_key).answer(route)

    page.route("**/ledger/proof?*", view)
    page.goto("/")
    until(page, f"{RECEIPTS}.then((list) => list.length && list.every(({{place}}) => place))")
    open_list(page)
    expect(page.locator("#sum .notice")).to_have_class(re.compile("is-breach"))
    stays_red(page, "The ledger was")


def test_slate_on_the_feed_turns_red_with_its_ledger(watched: Page, url: str, ledger_key: SigningKey) -> None:
    Impostor(true_leaves(url)[: seen_size(watched) - 1], ledger_key).serve(watched, "checkpoint")
    watched.goto("/")
    chip = watched.locator(CHIP)
    expect(chip).to_have_class(re.compile("is-failed"))
    expect(chip).to_contain_text("Not as promisedThe ledger was truncated")
    expect(watched.locator("#alarm")).to_contain_text("The ledger does not hold. The ledger was truncated")


def test_entry_at_another_place_is_told(watched: Page) -> None:
    found = watched.evaluate(
        """async () => {
          const { placed, receipts, standing } = await import("/static/js/receipts.js");
          const [one] = await receipts();
          const { state, failures } = standing(placed(one, { ...one.place, index: one.place.index + 1 }, 1));
          return [state, ...failures.map(({ words }) => words)];
        }"""
    )
    assert found[0] == "failed"
    assert "and showed it at" in found[1]


def other_key(vkey: str, algorithm: int) -> str:
    name = Verifier.from_vkey(vkey).name
    return SigningKey.generate(name, secrets.token_bytes(32), algorithm).verifier().vkey()


def test_changed_ledger_key_in_the_roster_is_told(watched: Page, ledger_key: SigningKey) -> None:
    old = ledger_key.verifier().vkey()
    new = other_key(old, 1)
    watched.route("**/api/agreement", altered_roster(lambda text: text.replace(old, new)))
    check_now(watched)
    stays_red(watched, "The ledger's key changed: the roster names another one than this browser saw first.")


def test_changed_witness_key_in_the_roster_is_told(watched: Page, deployment: Deployment) -> None:
    old = deployment.key("witness").verifier().vkey()
    new = other_key(old, COSIGNATURE)
    watched.route("**/api/agreement", altered_roster(lambda text: text.replace(old, new)))
    check_now(watched)
    stays_red(watched, "The key of the witness lightwell/witness changed since this browser saw it first.")


def test_new_keys_are_taken_only_by_the_person(watched: Page, url: str, ledger_key: SigningKey) -> None:
    new = SigningKey.generate(ledger_key.name, secrets.token_bytes(32))
    vkeys = ledger_key.verifier().vkey(), new.verifier().vkey()
    watched.route("**/api/agreement", altered_roster(lambda text: text.replace(*vkeys)))
    Impostor(true_leaves(url), new).serve(watched)

    def promised_by_it(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        proof = answer["proof"]
        by = open_promise(proof["promise"], ledger_key.verifier()).by
        proof["promise"] = make_promise(new, proof["origin"], bytes.fromhex(proof["leaf"]), by)
        proof["vkey"] = vkeys[1]
        route.fulfill(response=response, json=answer)

    watched.route("**/api/feed?*", promised_by_it)
    watched.goto("/")
    expect(watched.locator(CHIP)).to_contain_text("not the one that this browser saw first")
    open_list(watched)
    assert standings(watched) == {"failed"}
    watched.on("dialog", lambda dialog: dialog.accept())
    watched.click("#accept-keys")
    expect(watched.locator("#sum .notice")).not_to_have_class(re.compile("is-breach"))
    settled(watched)
    assert "failed" not in standings(watched)
    expect(watched.locator(".ledger-card")).to_contain_text("You took the new keys as right")


def test_altered_opening_stays_red_when_the_page_opens_again(enter: Enter, viewer: Viewer) -> None:
    page = enter("/sounds", viewer[1])

    def altered(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        opening = bytes.fromhex(answer["proof"]["opening"])
        answer["proof"]["opening"] = (bytes([opening[0] ^ 1]) + opening[1:]).hex()
        route.fulfill(response=response, json=answer)

    page.route("**/api/feed?*", altered)
    page.goto("/")
    expect(page.locator(CHIP)).to_contain_text("The slate shown is not the slate committed")
    open_list(page)
    stays_red(page, "The slate shown is not the slate committed.")


def test_record_that_the_cell_altered_later_is_told(watched: Page) -> None:
    def altered(route: Route) -> None:
        response = route.fetch()
        record: dict[str, Any] = response.json()
        record["inputs"] += " "
        route.fulfill(response=response, json=record)

    watched.route("**/api/slates/*", altered)
    open_first(watched)
    expect(watched.locator("[data-step=record]")).to_have_class(re.compile("is-failed"))
    watched.unroute_all(behavior="wait")
    watched.reload()
    expect(watched.locator(".notice.is-breach")).to_contain_text(
        "another record of this slate than it committed"
    )
    expect(watched.locator(".notice.is-breach")).to_contain_text("does not undo it")


def test_notice_on_the_feed_goes_only_when_the_person_says_so(
    watched: Page, url: str, ledger_key: SigningKey
) -> None:
    Impostor(true_leaves(url)[: seen_size(watched) - 1], ledger_key).serve(watched)
    watched.evaluate("import('/static/js/recheck.js').then((m) => m.recheck())")
    watched.unroute_all(behavior="wait")
    watched.goto("/")
    expect(watched.locator("#alarm")).to_be_visible()
    open_list(watched)
    watched.click("#hush")
    expect(watched.locator("#hush")).to_have_count(0)
    expect(watched.locator("#sum .notice")).to_have_class(re.compile("is-breach"))
    watched.goto("/")
    expect(watched.locator(CHIP)).to_have_class(re.compile("is-held"))
    watched.wait_for_timeout(6000)
    expect(watched.locator("#alarm")).to_be_hidden()
