"""Receipts in the browser: kept whole, held against the ledger again, and red for good once it did not."""

import json
import re
import secrets
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lightwell.apps.demo.deployment import Deployment
from lightwell.apps.demo.person import Person
from lightwell.wire import base64_strict, keys, merkle, receipt, trust
from lightwell.wire.keys import MLDSA_COSIGNATURE, SigningKey
from tests.browser.conftest import Enter
from tests.browser.impostor import Impostor, altered_roster, true_leaves
from tests.browser.receipts_page import (
    CHIP,
    RECEIPTS,
    STATES,
    check_now,
    open_first,
    open_list,
    seen_size,
    settled,
    standings,
)

Viewer = tuple[str, str]


def grow(viewer_url: str, cookie: str, count: int = 3) -> None:
    """Let the cell serve slates, so that its ledger grows."""
    with Person(viewer_url) as person:
        person.http.cookies["lightwell_session"] = cookie
        for _ in range(count):
            person.http.get("/api/feed?tab=newest&k=5").raise_for_status()


# What is kept


def test_kept_receipt_is_whole_and_outlives_the_page(watched: Page) -> None:
    watched.reload()
    settled(watched)
    for kept in watched.evaluate(RECEIPTS):
        assert re.fullmatch("[0-9a-f]{32,}", kept["opening"])
        assert re.fullmatch("[0-9a-f]{64}", kept["inputs_digest"])
        assert len(kept["slate"]) == kept["videos"] > 0
        assert kept["place"]["checkpoint"].startswith("lightwell/us\n")
        assert kept["checked"]["size"] >= kept["place"]["size"]
    assert standings(watched) == {"cosigned"}
    expect(watched.locator(STATES).first).to_have_text("cosigned 1 of 1")


def test_saved_receipt_verifies_with_another_program(
    watched: Page, ledger_key: SigningKey, deployment: Deployment, tmp_path: Path
) -> None:
    open_first(watched)
    with watched.expect_download() as download:
        watched.click("#save")
    kept = watched.evaluate(RECEIPTS)
    name = download.value.suggested_filename
    assert re.fullmatch(r"[0-9a-f]{16}\.tlog-proof", name)
    file = tmp_path / name
    download.value.save_as(file)
    read = receipt.parse(file.read_text("utf-8"))
    assert read.text() == file.read_text("utf-8")
    policy = trust.of_keys(ledger_key.verifier(), [deployment.key("witness").verifier()])
    read.verify(policy)
    leaf = merkle.leaf_hash(read.entry).hex()
    [own] = [one for one in kept if one["leaf"] == leaf]
    assert leaf.startswith(name.split(".", maxsplit=1)[0])
    assert read.opening is not None
    assert read.opening.content == {"items": own["slate"]}


def test_receipts_of_earlier_versions_are_moved_once(watched: Page) -> None:
    [first, *_] = watched.evaluate(RECEIPTS)
    former = {
        key: first[key] for key in ("leaf", "at", "tab", "promise", "vkey", "origin", "entry", "videos")
    }
    watched.evaluate("import('/static/js/receipts.js').then((m) => m.forgetAll())")
    watched.evaluate("(text) => localStorage.setItem('lightwell.receipts', text)", json.dumps([former]))
    watched.reload()
    settled(watched)
    assert standings(watched) == {"cosigned"}
    assert watched.evaluate("localStorage.getItem('lightwell.receipts')") is None
    [moved] = watched.evaluate(RECEIPTS)
    assert moved["leaf"] == first["leaf"]
    assert moved["by"] == first["by"]


def test_newest_500_receipts_are_kept_and_those_that_did_not_hold_go_last(watched: Page) -> None:
    leaves = watched.evaluate(
        """async () => {
          const { keepReceipt, receipts } = await import("/static/js/receipts.js");
          const { changeAll } = await import("/static/js/store.js");
          const [one] = await receipts();
          const of = (i, failures) => ({ ...one, leaf: String(i).padStart(64, "0"), at: i, failures });
          const { withFailure } = await import("/static/js/ledgers.js");
          const [failure] = withFailure([], { kind: "overdue", words: "x" }, 1);
          const many = Array.from({ length: 499 }, (_, i) => of(i, i === 0 ? [failure] : []));
          await changeAll("receipts", new Map(many.map((receipt) => [receipt.leaf, () => receipt])));
          for (let i = 1e14; i < 1e14 + 3; i++) await keepReceipt(of(i, []));
          return (await receipts()).map(({ leaf }) => leaf);
        }"""
    )
    assert len(leaves) == 500
    assert {f"{number:064d}" for number in (0, 10**14 + 2)} < set(leaves)
    assert f"{1:064d}" not in leaves


def test_browser_that_keeps_nothing_says_so_and_still_checks(enter: Enter, viewer: Viewer) -> None:
    page = enter("/sounds", viewer[1])
    page.add_init_script(
        "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
    )
    page.goto("/")
    expect(page.locator(CHIP)).to_have_class(re.compile("is-held"))
    page.goto("/proof")
    expect(page.locator("#proof")).to_contain_text("Nothing lasts here.")


def test_full_store_loses_no_check(enter: Enter, viewer: Viewer) -> None:
    page = enter("/sounds", viewer[1])
    page.add_init_script(
        "IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); };"
    )
    page.goto("/")
    expect(page.locator(CHIP)).to_have_class(re.compile("is-held"))
    page.keyboard.press("w")
    expect(page.locator(".proof-card")).to_contain_text("of the us ledger")


def test_all_is_forgotten_when_the_person_says_so(watched: Page) -> None:
    watched.on("dialog", lambda dialog: dialog.accept())
    watched.click("#forget")
    expect(watched.locator("#proof")).to_contain_text("will be here")
    assert watched.evaluate(RECEIPTS) == []


# What holds


def test_honest_growth_keeps_receipts_green_from_tiles_alone(watched: Page, url: str, viewer: Viewer) -> None:
    before = seen_size(watched)
    grow(url, viewer[1])
    asked: list[str] = []
    watched.on("request", lambda request: asked.append(request.url))
    deadline = time.monotonic() + 20
    while seen_size(watched) < before + 3:
        assert time.monotonic() < deadline
        check_now(watched)
    assert standings(watched) == {"cosigned"}
    expect(watched.locator("#sum .notice")).to_have_class(re.compile("is-proof"))
    assert any("/ledger/tile/" in one for one in asked)
    assert not any("/ledger/proof" in one for one in asked)


def test_ledger_that_is_away_is_not_called_broken(watched: Page) -> None:
    watched.route("**/ledger/**", lambda route: route.abort())
    watched.route("**/api/**", lambda route: route.abort())
    check_now(watched)
    expect(watched.locator("#sum .notice")).to_have_class(re.compile("is-unknown"))
    expect(watched.locator("#sum")).to_contain_text("Could not be checked now. The cell does not answer.")
    assert standings(watched) == {"cosigned"}
    watched.unroute_all(behavior="wait")
    watched.route("**/ledger/**", lambda route: route.fulfill(status=503, body="away"))
    open_first(watched)
    expect(watched.locator(".notice.is-unknown")).to_contain_text("Could not be checked now.")
    expect(watched.locator(".step.is-failed")).to_have_count(0)
    watched.unroute_all(behavior="wait")
    open_list(watched)
    expect(watched.locator("#sum .notice")).to_have_class(re.compile("is-proof"))


def test_receipt_is_checked_without_the_cell(watched: Page) -> None:
    watched.route("**/ledger/**", lambda route: route.abort())
    watched.route("**/api/slates/**", lambda route: route.abort())
    open_first(watched)
    for step in ("commitment", "leaf", "promise", "roster", "inclusion", "checkpoint", "witnesses"):
        expect(watched.locator(f"[data-step={step}]")).to_have_class(re.compile("is-held"))
    expect(watched.locator("[data-step=newest]")).to_have_class(re.compile("is-unknown"))


# ML-DSA


BLIND = """
const importKey = SubtleCrypto.prototype.importKey;
SubtleCrypto.prototype.importKey = function (format, key, algorithm, ...rest) {
  if (algorithm.name === "ML-DSA-44") throw new DOMException("no", "NotSupportedError");
  return importKey.call(this, format, key, algorithm, ...rest);
};
"""


@pytest.mark.parametrize("blind", [False, True])
def test_mldsa_witness_is_checked_where_the_browser_can(
    watched: Page, url: str, ledger_key: SigningKey, deployment: Deployment, blind: bool
) -> None:
    second = SigningKey.generate("lightwell/witness-2", secrets.token_bytes(32), MLDSA_COSIGNATURE)
    seat = f'\n[[seats]]\nrole = "witness"\nname = "Second witness"\nvkey = "{second.verifier().vkey()}"\n'
    watched.route("**/api/agreement", altered_roster(lambda text: text + seat))
    Impostor(true_leaves(url), ledger_key, deployment.key("witness"), second).serve(watched)
    if blind:
        watched.add_init_script(BLIND)
    watched.reload()
    settled(watched)
    state = watched.locator(STATES).first
    expect(state).to_have_text("cosigned 1 of 2" if blind else "cosigned 2 of 2")
    assert standings(watched) == {"cosigned"}
    open_first(watched)
    step = watched.locator("[data-step=witnesses]")
    expect(step).to_have_class(re.compile("is-unknown" if blind else "is-held"))
    if blind:
        expect(step).to_contain_text("1 of 2 signed: lightwell/witness. This browser cannot check ML-DSA-44;")
        expect(step).to_contain_text(re.compile(r"\d of \d checked\."))
        expect(watched.locator(".step.is-failed")).to_have_count(0)
    else:
        expect(step).to_contain_text("2 of 2 signed: lightwell/witness, lightwell/witness-2.")


def test_witness_keys_of_any_type_are_read(watched: Page, ledger_key: SigningKey) -> None:
    leaves = [secrets.token_bytes(32) for _ in range(5)]
    good, absent, forger = (
        SigningKey.generate("example/w", secrets.token_bytes(32), MLDSA_COSIGNATURE) for _ in range(3)
    )
    note = Impostor(leaves, ledger_key, good, forger).checkpoint
    other = Impostor([*leaves, secrets.token_bytes(32)], ledger_key, forger).checkpoint
    # The forger's line is of another checkpoint.
    lines = note.split("\n")
    lines[-2] = other.split("\n")[-2]
    id_text = keys.key_id("example/new", 9, b"k" * 20).hex()
    unknown = f"example/new+{id_text}+{base64_strict.encode(bytes([9]) + b'k' * 20)}"
    found = watched.evaluate(
        """async ([note, vkeys]) => {
          const { findWitnesses, splitNote } = await import("/static/js/note.js");
          return (await findWitnesses(splitNote(note), vkeys)).map(({ state }) => state);
        }""",
        [
            "\n".join(lines),
            [*(key.verifier().vkey() for key in (good, absent, forger)), unknown, "no vkey at all"],
        ],
    )
    assert found == ["good", "absent", "bad", "absent", "uncheckable"]
