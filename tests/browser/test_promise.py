"""The page reads promises as every reader does: the vectors hold, and whatever is altered is refused."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from lightwell.wire import merkle
from lightwell.wire.keys import SigningKey
from lightwell.wire.promise import make_promises
from tests.browser.conftest import Enter

VECTORS = json.loads((Path(__file__).parents[2] / "conformance" / "receipts.json").read_text("ascii"))

OPEN_ALL = """async ([vkey, texts]) => {
  const { toHex } = await import("/static/js/bytes.js");
  const { readVerifier, signedBy } = await import("/static/js/note.js");
  const { readPromise } = await import("/static/js/promise.js");
  const key = await readVerifier(vkey);
  return Promise.all(texts.map(async (text) => {
    try {
      const { origin, leaf, by, note } = await readPromise(text);
      return (await signedBy(note, key)) ? [origin, toHex(leaf), by] : null;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return null;
    }
  }));
}"""

CHECK = """async ([proof]) => {
  const { checkPromise } = await import("/static/js/verify.js");
  const { steps, by } = await checkPromise(proof, [proof.vkey], []);
  return [by, steps.filter(({ state }) => state !== "held").map(({ detail }) => detail)];
}"""


@pytest.fixture
def page(enter: Enter) -> Page:
    return enter("/sounds")


def test_promise_vectors(page: Page) -> None:
    valid, refused = VECTORS["valid"], VECTORS["refused"]
    texts = [case["promise"] for case in [*valid, *refused]]
    opened = page.evaluate(OPEN_ALL, [VECTORS["vkey"], texts])
    expected = [["lightwell/us", case["leaf_hash"], VECTORS["by"]] for case in valid]
    assert opened[: len(valid)] == expected
    assert dict(zip((case["why"] for case in refused), opened[len(valid) :], strict=True)) == {
        case["why"]: None for case in refused
    }


def test_any_flipped_character_of_a_promise_is_refused(page: Page) -> None:
    key = SigningKey.generate("lightwell/us", bytes(range(32)))
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(7)]
    honest = [
        make_promises(key, "lightwell/us", leaves, 9)[6],
        *make_promises(key, "lightwell/us", leaves[:1], 9),
    ]
    altered = [
        text[:at] + chr(ord(char) ^ 1) + text[at + 1 :] for text in honest for at, char in enumerate(text)
    ]
    vkey = key.verifier().vkey()
    assert None not in page.evaluate(OPEN_ALL, [vkey, honest])
    assert set(page.evaluate(OPEN_ALL, [vkey, altered])) == {None}


def test_each_of_a_group_is_checked_with_its_own_entry_only(page: Page) -> None:
    key = SigningKey.generate("lightwell/us", bytes(range(32)))
    entries = [b"%d" % n for n in range(5)]
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    texts = make_promises(key, "lightwell/us", leaves, 1_700_000_000)
    for at, text in enumerate(texts):
        proof = {
            "entry": entries[at].decode(),
            "leaf": leaves[at].hex(),
            "promise": text,
            "origin": "lightwell/us",
            "vkey": key.verifier().vkey(),
        }
        assert page.evaluate(CHECK, [proof]) == [1_700_000_000, []]
        other = {**proof, "promise": texts[at - 1]}
        assert page.evaluate(CHECK, [other]) == [None, ["the promise is for another entry"]]
