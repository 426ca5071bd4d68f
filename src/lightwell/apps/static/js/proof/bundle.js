// Reads one entry of a ledger from its public files, as C2SP tlog-tiles lays them out.

/** @typedef {import("../bytes.js").Bytes} Bytes */

const WIDTH = 256;

/**
 * The path of the bundle that holds an entry.
 * @param {number} index of the entry
 * @param {number} size of the tree: its last bundle may be partial
 */
export function bundlePath(index, size) {
  const bundle = Math.floor(index / WIDTH);
  const groups = [String(bundle % 1000).padStart(3, "0")];
  for (let rest = Math.floor(bundle / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  const full = (bundle + 1) * WIDTH <= size;
  return `/ledger/tile/entries/${groups.join("/")}${full ? "" : `.p/${size % WIDTH}`}`;
}

/**
 * @param {Bytes} bundle entries, each behind its length in two bytes, big endian
 * @param {number} place of the entry in the bundle
 * @returns {string} its text
 * @throws {TypeError} the bundle is malformed or has no such entry
 */
export function entryIn(bundle, place) {
  let at = 0;
  for (let i = 0; at + 2 <= bundle.length; i++) {
    const end = at + 2 + bundle[at] * 256 + bundle[at + 1];
    if (end > bundle.length) break;
    if (i === place) return new TextDecoder("utf-8", { fatal: true }).decode(bundle.subarray(at + 2, end));
    at = end;
  }
  throw new TypeError("the bundle has no such entry");
}

/** @param {number} index @param {number} size @returns {Promise<string>} the entry's text */
export async function fetchEntry(index, size) {
  const response = await fetch(bundlePath(index, size));
  if (!response.ok) throw new TypeError(`the ledger answered ${response.status} for its own bundle`);
  return entryIn(new Uint8Array(await response.arrayBuffer()), index % WIDTH);
}

