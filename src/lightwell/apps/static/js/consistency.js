// Whether two checkpoints are of one ledger that only grew, and whether a tree holds a leaf: computed here from the public tiles.

import { readCheckpoint } from "./checkpoint.js";
import { fromHex, same } from "./bytes.js";
import { consistencyProof, inclusionProof, isConsistent, rangeRoot, rootFromProof } from "./merkle.js";
import { Unreached, nodeReader } from "./tiles.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./checkpoint.js").Checkpoint} Checkpoint */
/** @typedef {import("./ledgers.js").Finding} Finding */
/** @typedef {import("./merkle.js").Node} Node */

/** @param {number} count */
const entries = (count) => (count === 1 ? "1 entry" : `${count.toLocaleString("en")} entries`);

/**
 * Do something with the nodes of a tree: first from what is cached, and if that does not do, from the ledger again. A
 * cached tile of a ledger that was rewritten since would hide what happened.
 * @template T
 * @param {number} size
 * @param {(node: Node) => Promise<T | null>} attempt null if the nodes do not do
 * @returns {Promise<T | null>}
 * @throws {Unreached}
 */
async function withNodes(size, attempt) {
  for (const fresh of [false, true]) {
    try {
      const result = await attempt(nodeReader(size, fresh));
      if (result !== null) return result;
    } catch (error) {
      // Tiles of a wrong length do not do either.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  return null;
}

/** @param {Checkpoint} newest @returns {Promise<boolean>} true if the public tiles make its root */
async function tilesFit(newest) {
  return (await withNodes(newest.size, async (node) => (same(await rangeRoot(node, 0, newest.size), newest.root) ? true : null))) ?? false;
}

/**
 * Compare the newest checkpoint with one that this browser saw before; both are signed by the ledger.
 * @param {string} before its note
 * @param {Checkpoint} newest
 * @returns {Promise<Finding | null>} what does not hold; null if the ledger only grew
 * @throws {Unreached}
 */
export async function compare(before, newest) {
  const old = readCheckpoint(before);
  const evidence = [before, newest.note];
  if (newest.size < old.size) {
    return { kind: "truncated", words: `The ledger was truncated: it shows ${entries(newest.size)}, and this browser has seen ${entries(old.size)}.`, evidence };
  }
  if (newest.size === old.size) {
    return same(newest.root, old.root) ? null : { kind: "forked", words: `The ledger was forked: it signed two different trees of ${entries(old.size)}.`, evidence };
  }
  if (old.size === 0) return null;
  const grew = await withNodes(newest.size, async (node) => {
    const proof = await consistencyProof(node, old.size, newest.size);
    return (await isConsistent(old.size, old.root, newest.size, newest.root, proof)) ? true : null;
  });
  if (grew) return null;
  // Tiles that make the signed root are the ledger's own; then it is the beginning that is another.
  if (await tilesFit(newest)) {
    return { kind: "rewritten", words: `The ledger was rewritten: its ${entries(newest.size)} do not begin with the ${entries(old.size)} that this browser has seen.`, evidence };
  }
  return { kind: "files", words: "The ledger's public files do not make the root that it signed.", evidence };
}

/**
 * The proof that the newest tree holds a leaf at its place.
 * @param {string} leaf hex
 * @param {number} index
 * @param {Checkpoint} newest
 * @returns {Promise<Bytes[] | null>} null if it does not
 * @throws {Unreached}
 */
export async function proveIn(leaf, index, newest) {
  if (index >= newest.size) return null;
  return withNodes(newest.size, async (node) => {
    const proof = await inclusionProof(node, index, newest.size);
    return same(await rootFromProof(fromHex(leaf), index, newest.size, proof), newest.root) ? proof : null;
  });
}
