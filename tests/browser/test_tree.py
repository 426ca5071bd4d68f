"""The page's own Merkle arithmetic agrees with `wire.merkle`, and its reading of tiles with `wire.tiles`."""

import hashlib
from itertools import pairwise

import pytest
from playwright.sync_api import Page

from lightwell.wire import merkle
from lightwell.wire.keys import SigningKey
from tests.browser.conftest import Enter
from tests.browser.impostor import Impostor

KEY = SigningKey.generate("lightwell/us", bytes(32))


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


@pytest.fixture
def page(enter: Enter) -> Page:
    return enter("/sounds")


EVERY_PROOF = """async ([texts, roots, wanted]) => {
  const { fromHex, toHex } = await import("/static/js/bytes.js");
  const merkle = await import("/static/js/merkle.js");
  const levels = [texts.map(fromHex)];
  while (levels.at(-1).length > 1) {
    const below = levels.at(-1);
    const pairs = below.slice(0, below.length & ~1).reduce((found, hash, i) => {
      if (i % 2) found.at(-1).push(hash); else found.push([hash]);
      return found;
    }, []);
    levels.push(await Promise.all(pairs.map(([left, right]) => merkle.nodeHash(left, right))));
  }
  const node = async (height, index) => levels[height][index];
  const problems = [];
  const must = (truth, ...words) => truth || problems.push(words.join(" "));
  const flip = (hash, bit) => hash.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
  // Every way to spoil a proof: longer, shorter, and one bit of each hash.
  const spoilt = (proof) => [
    [...proof, levels[0][0]], ...(proof.length ? [proof.slice(1), proof.slice(0, -1)] : []),
    ...proof.map((hash, at) => proof.with(at, flip(hash, (at * 37 + proof.length) % 256))),
  ];
  for (let size = 1; size < roots.length; size++) {
    const after = fromHex(roots[size]);
    must(toHex(await merkle.rangeRoot(node, 0, size)) === roots[size], "root", size);
    for (let index = 0; index < size; index++) {
      const leads = async (proof) => {
        const root = await merkle.rootFromProof(levels[0][index], index, size, proof).catch(() => null);
        return root !== null && toHex(root) === roots[size];
      };
      const proof = await merkle.inclusionProof(node, index, size);
      must(`${proof.map(toHex)}` === `${wanted.inclusion[size][index]}`, "inclusion", index, size);
      must(await leads(proof), "leads", index, size);
      for (const bad of spoilt(proof)) must(!(await leads(bad)), "spoilt leads", index, size);
    }
    for (let old = 1; old <= size; old++) {
      const before = fromHex(roots[old]);
      const shows = (root1, root2, proof) => merkle.isConsistent(old, root1, size, root2, proof);
      const proof = await merkle.consistencyProof(node, old, size);
      must(`${proof.map(toHex)}` === `${wanted.consistency[size][old - 1]}`, "consistency", old, size);
      must(await shows(before, after, proof), "shows", old, size);
      must(!(await shows(flip(before, size), after, proof)), "another old root", old, size);
      must(!(await shows(before, flip(after, old), proof)), "another new root", old, size);
      for (const bad of spoilt(proof)) must(!(await shows(before, after, bad)), "spoilt shows", old, size);
    }
  }
  return problems;
}"""


def test_proofs_of_every_small_tree_are_the_same_and_every_flipped_bit_is_refused(page: Page) -> None:
    top = 20
    node = merkle.in_memory(leaves(top))
    roots = [hashlib.sha256().hexdigest(), *(merkle.root(leaves(size)).hex() for size in range(1, top + 1))]
    wanted = {
        "inclusion": [
            [[step.hex() for step in merkle.inclusion_proof(node, index, size)] for index in range(size)]
            for size in range(top + 1)
        ],
        "consistency": [
            [[step.hex() for step in merkle.consistency_proof(node, old, size)] for old in range(1, size + 1)]
            for size in range(top + 1)
        ],
    }
    problems = page.evaluate(EVERY_PROOF, [[leaf.hex() for leaf in leaves(top)], roots, wanted])
    assert problems == []


COMPARE = """async ([before, after, leaf, index]) => {
  const { readCheckpoint } = await import("/static/js/checkpoint.js");
  const { compare, proveIn } = await import("/static/js/consistency.js");
  const newest = readCheckpoint(after);
  const wrong = await compare(before, newest);
  return [wrong?.kind ?? "grew", (await proveIn(leaf, index, newest)) !== null];
}"""


def test_ledger_of_several_levels_of_tiles_is_followed_as_it_grows(page: Page) -> None:
    sizes = [1, 255, 256, 257, 600, 65_536, 65_537, 70_001]
    all_leaves = leaves(sizes[-1])
    steps = [Impostor(all_leaves[:size], KEY) for size in sizes]
    for before, after in pairwise(steps):
        page.unroute_all()
        after.serve(page)
        index = len(before.leaves) - 1
        asked = [before.checkpoint, after.checkpoint, all_leaves[index].hex(), index]
        assert page.evaluate(COMPARE, asked) == ["grew", True]
        assert page.evaluate(COMPARE, [*asked[:2], all_leaves[0].hex(), index])[1] is (index == 0)


def test_rewritten_beginning_is_found_behind_tiles_that_the_page_holds_already(page: Page) -> None:
    honest = leaves(600)
    before = Impostor(honest[:300], KEY)
    grown = Impostor(honest, KEY)
    grown.serve(page)
    asked = [before.checkpoint, grown.checkpoint, honest[3].hex(), 3]
    assert page.evaluate(COMPARE, asked) == ["grew", True]
    page.unroute_all()
    altered = Impostor([*honest[:3], honest[4], *honest[4:], honest[0]], KEY)
    altered.serve(page)
    asked = [before.checkpoint, altered.checkpoint, honest[3].hex(), 3]
    assert page.evaluate(COMPARE, asked) == ["rewritten", False]


def test_tile_that_was_wrong_once_is_read_again(page: Page) -> None:
    honest = Impostor(leaves(600), KEY)
    asked = [Impostor(leaves(300), KEY).checkpoint, honest.checkpoint, leaves(4)[3].hex(), 3]
    honest.serve(page)
    page.route("**/ledger/tile/0/000", lambda route: route.fulfill(body=bytes(32 * 256)))
    assert page.evaluate(COMPARE, asked) == ["grew", False]
    page.unroute_all()
    honest.serve(page)
    assert page.evaluate(COMPARE, asked) == ["grew", True]


def test_tiles_that_do_not_make_the_signed_root_are_told_apart(page: Page) -> None:
    signed = Impostor(leaves(40), KEY)
    Impostor([*leaves(39), bytes(32)], KEY).serve(page)
    asked = [Impostor(leaves(30), KEY).checkpoint, signed.checkpoint, leaves(1)[0].hex(), 0]
    assert page.evaluate(COMPARE, asked) == ["files", False]


def test_partial_tile_that_is_gone_is_read_from_the_full_one(page: Page) -> None:
    full = Impostor(leaves(300), KEY)
    page.route("**/ledger/tile/0/*.p/*", lambda route: route.fulfill(status=404, body=""))
    page.route("**/ledger/tile/0/000", full.answer)
    asked = [
        Impostor(leaves(20), KEY).checkpoint,
        Impostor(leaves(200), KEY).checkpoint,
        leaves(1)[0].hex(),
        0,
    ]
    assert page.evaluate(COMPARE, asked) == ["grew", True]
