// Merkle trees of RFC 6962: leaf hashes, proofs made from a tree's nodes, and whether a proof shows what it should.

import { concat, same, sha256 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/**
 * @callback Node the hash over leaves [index * 2^height, (index + 1) * 2^height), whoever stores the tree
 * @param {number} height
 * @param {number} index
 * @returns {Promise<Bytes>} 32 bytes
 */

/** No proof in a tree below 2^53 leaves has more hashes. */
const MOST = 53;

/** @param {Bytes} entry @returns {Promise<Bytes>} SHA-256(0x00 || entry) */
export const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));

/** @param {Bytes} left @param {Bytes} right @returns {Promise<Bytes>} SHA-256(0x01 || left || right) */
export const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

/**
 * The root that a leaf and its proof lead to (RFC 9162, section 2.1.3.2).
 * @param {Bytes} leaf 32 bytes
 * @param {number} index place of the leaf
 * @param {number} size leaves in the tree
 * @param {Bytes[]} proof
 * @returns {Promise<Bytes>} 32 bytes
 * @throws {TypeError} the proof cannot be one for this place and size
 */
export async function rootFromProof(leaf, index, size, proof) {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) {
    throw new TypeError("the index is not in the tree");
  }
  checkHashes([leaf, ...proof]);
  let place = BigInt(index);
  let last = BigInt(size - 1);
  let hash = leaf;
  for (const step of proof) {
    if (last === 0n) throw new TypeError("the proof is too long");
    if (place & 1n || place === last) {
      hash = await nodeHash(step, hash);
      while (!(place & 1n) && place !== 0n) {
        place >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = await nodeHash(hash, step);
    }
    place >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new TypeError("the proof is too short");
  return hash;
}

/**
 * Check that the tree of `size1` with `root1` is the beginning of that of `size2` with `root2` (RFC 9162, 2.1.4.2).
 * @param {number} size1 at least 1: nothing can be shown of the empty tree
 * @param {Bytes} root1 32 bytes
 * @param {number} size2
 * @param {Bytes} root2 32 bytes
 * @param {Bytes[]} proof
 * @returns {Promise<boolean>} false for any proof that does not show it
 */
export async function isConsistent(size1, root1, size2, root2, proof) {
  if (!Number.isSafeInteger(size1) || !Number.isSafeInteger(size2) || size1 < 1 || size1 > size2) return false;
  if (size1 === size2) return proof.length === 0 && same(root1, root2);
  checkHashes([root1, root2, ...proof]);
  let first = BigInt(size1 - 1);
  let last = BigInt(size2 - 1);
  while (first & 1n) {
    first >>= 1n;
    last >>= 1n;
  }
  // A complete old tree is its own first step; of any other the proof gives the last complete part.
  const [start, ...steps] = first === 0n ? [root1, ...proof] : proof;
  if (!start) return false;
  let before = start;
  let after = start;
  for (const step of steps) {
    if (last === 0n) return false;
    if (first & 1n || first === last) {
      before = await nodeHash(step, before);
      after = await nodeHash(step, after);
      while (!(first & 1n) && first !== 0n) {
        first >>= 1n;
        last >>= 1n;
      }
    } else {
      after = await nodeHash(after, step);
    }
    first >>= 1n;
    last >>= 1n;
  }
  return last === 0n && same(before, root1) && same(after, root2);
}

/**
 * The hash over leaves [start, end), `start` being aligned as RFC 6962 aligns it.
 * @param {Node} node
 * @param {number} start
 * @param {number} end above `start`
 * @returns {Promise<Bytes>}
 */
export async function rangeRoot(node, start, end) {
  const peaks = [];
  for (let at = start; at < end;) {
    const height = log2(end - at);
    peaks.push(node(height, at / 2 ** height));
    at += 2 ** height;
  }
  const hashes = await Promise.all(peaks);
  let root = /** @type {Bytes} */ (hashes.pop());
  for (const peak of hashes.reverse()) root = await nodeHash(peak, root);
  return root;
}

/**
 * The proof that leaf `index` is in the tree of `size` leaves (RFC 6962, section 2.1.1).
 * @param {Node} node
 * @param {number} index
 * @param {number} size
 * @returns {Promise<Bytes[]>} from the leaf's side up
 */
export function inclusionProof(node, index, size) {
  const parts = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + split(end - start);
    const left = index < middle;
    parts.push(left ? rangeRoot(node, middle, end) : rangeRoot(node, start, middle));
    if (left) end = middle;
    else start = middle;
  }
  return Promise.all(parts.reverse());
}

/**
 * The proof that the tree of `size1` is the beginning of that of `size2` (RFC 6962, section 2.1.2).
 * @param {Node} node
 * @param {number} size1 above 0
 * @param {number} size2 at least `size1`
 * @returns {Promise<Bytes[]>}
 */
export function consistencyProof(node, size1, size2) {
  const parts = [];
  let [start, end] = [0, size2];
  while (size1 < end) {
    const middle = start + split(end - start);
    const left = size1 <= middle;
    parts.push(left ? rangeRoot(node, middle, end) : rangeRoot(node, start, middle));
    if (left) end = middle;
    else start = middle;
  }
  // Only when the old tree is no complete part of the new one does its reader lack the last piece.
  if (start > 0) parts.push(rangeRoot(node, start, end));
  return Promise.all(parts.reverse());
}

/** @param {number} count at least 1 @returns {number} the largest h with 2^h <= count */
function log2(count) {
  let height = 0;
  while (2 ** (height + 1) <= count) height++;
  return height;
}

/** @param {number} count at least 2 @returns {number} the largest power of two below it */
const split = (count) => 2 ** log2(count - 1);

/** @param {Bytes[]} hashes */
function checkHashes(hashes) {
  if (hashes.length > MOST + 2) throw new TypeError("the proof is too long");
  if (hashes.some(({ length }) => length !== 32)) throw new TypeError("a hash of the proof is not 32 bytes");
}
