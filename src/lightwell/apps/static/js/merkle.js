// Merkle trees of RFC 6962: leaf hashes, and whether a proof places a leaf in a tree.

import { concat, sha256 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** @param {Bytes} entry @returns {Promise<Bytes>} SHA-256(0x00 || entry) */
export const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));

/** @param {Bytes} left @param {Bytes} right @returns {Promise<Bytes>} SHA-256(0x01 || left || right) */
const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

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
  let place = BigInt(index);
  let last = BigInt(size - 1);
  let hash = leaf;
  for (const step of proof) {
    if (last === 0n) throw new TypeError("the proof is too long");
    if (step.length !== 32) throw new TypeError("a hash of the proof is not 32 bytes");
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
