// Reads a ledger's promise: one signed note for all entries that became durable together, and the place of one of them.

import { fromBase64, same } from "./bytes.js";
import { rootFromProof } from "./merkle.js";
import { splitNote } from "./note.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {{origin: string, leaf: Bytes, by: number, note: import("./note.js").Note}} Promised `by` in seconds since the epoch */

/** No group of entries is larger. */
const MOST = 256;
const INDEX = "index ";

/**
 * Read a promise, and check that its entry is one of those that the note is about. The note's signature is not checked.
 * @param {string} text
 * @returns {Promise<Promised>}
 * @throws {TypeError} malformed, or signed for other entries than this one
 */
export async function readPromise(text) {
  const grouped = text.startsWith(INDEX);
  const cut = grouped ? text.indexOf("\n\n") : -2;
  must(cut !== -1, "the promise is malformed");
  const note = splitNote(text.slice(cut + 2));
  must(note.signatures.length === 1, "the promise has not exactly one signature");
  const [label, origin, size, root, time, end, ...rest] = note.text.split("\n");
  must(label === "lightwell/promise/v2" && origin !== "" && end === "" && rest.length === 0, "the promise is malformed");
  const count = number(size);
  must(count >= 1 && count <= MOST && grouped === count > 1, "the promise is malformed");
  const by = number(time);
  const signed = fromBase64(root);
  if (!grouped) {
    must(signed.length === 32, "a hash of the promise is not 32 bytes");
    return { origin, leaf: signed, by, note };
  }
  const [place, ...hashes] = text.slice(INDEX.length, cut).split("\n");
  const [leaf, ...proof] = hashes.map(fromBase64);
  must(leaf !== undefined, "the promise is malformed");
  must(same(await rootFromProof(leaf, number(place), count, proof), signed), "the promise is for other entries");
  return { origin, leaf, by, note };
}

/** @param {string | undefined} text @returns {number} of its one decimal text */
function number(text) {
  must(/^(0|[1-9][0-9]{0,15})$/.test(text ?? "") && Number.isSafeInteger(Number(text)), "the promise is malformed");
  return Number(text);
}

/** @param {boolean} truth @param {string} words what is not so */
function must(truth, words) {
  if (!truth) throw new TypeError(words);
}
