// Reads a ledger from its public files (C2SP tlog-tiles); full tiles never change and are kept while the page is open.

import { readCheckpoint } from "./checkpoint.js";
import { nodeHash } from "./merkle.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const HEIGHT = 8;
const WIDTH = 256;
const HASH = 32;
/** Full tiles held in memory, hashes of every level: 16 kB each. */
const HELD = 256;
const WAIT_MS = 10000;

/** The ledger cannot be asked just now: nothing follows from it. */
export class Unreached extends Error {}

/**
 * Fetch one of the ledger's public files.
 * @param {string} path
 * @param {RequestCache} cache
 * @returns {Promise<Response | null>} null if the ledger says that it has no such file
 * @throws {Unreached} no answer in time, or not one that a ledger in order would give
 */
async function fetchFile(path, cache) {
  let response;
  try {
    response = await fetch(path, { cache, signal: AbortSignal.timeout(WAIT_MS) });
  } catch {
    throw new Unreached("The cell does not answer.");
  }
  if (response.status === 404) return null;
  if (!response.ok) throw new Unreached(`The ledger answered ${response.status}.`);
  return response;
}

/**
 * Fetch the newest checkpoint; its signatures are not checked yet.
 * @returns {Promise<import("./checkpoint.js").Checkpoint>}
 * @throws {Unreached} the ledger does not answer, or with something that is no checkpoint
 */
export async function fetchCheckpoint() {
  const response = await fetchFile("/ledger/checkpoint", "no-store");
  if (!response) throw new Unreached("The ledger has published no checkpoint yet.");
  try {
    return readCheckpoint(await response.text());
  } catch {
    throw new Unreached("The ledger's answer is no checkpoint.");
  }
}

/**
 * Ask where the entry of a leaf is.
 * @param {string} leaf hex
 * @returns {Promise<import("./verify.js").Inclusion | null>} unchecked; null if the ledger says that it has no such entry
 * @throws {Unreached}
 */
export async function fetchPlace(leaf) {
  const response = await fetchFile(`/ledger/proof?leaf=${leaf}`, "no-store");
  if (!response) return null;
  try {
    const answer = await response.json();
    if (typeof answer.checkpoint === "string" && Array.isArray(answer.proof)) return answer;
  } catch {
    // No JSON, or cut off.
  }
  throw new Unreached("The ledger's answer could not be read.");
}

/** @param {number} index @returns {string} groups of three digits: x001/x234/067 */
function indexPath(index) {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return groups.join("/");
}

/**
 * How many hashes tile `index` of `level` has in a tree of `size`; of level 0, entries in a bundle too.
 * @param {number} level
 * @param {number} index
 * @param {number} size
 */
const widthAt = (level, index, size) => Math.min(Math.max(Math.floor(size / 2 ** (HEIGHT * level)) - index * WIDTH, 0), WIDTH);

/**
 * @param {number | "entries"} level
 * @param {number} index
 * @param {number} width
 */
const tilePath = (level, index, width) => `/ledger/tile/${level}/${indexPath(index)}${width === WIDTH ? "" : `.p/${width}`}`;

/**
 * Fetch a tile or bundle; a partial one that is gone is the beginning of the full one.
 * @param {number | "entries"} level
 * @param {number} index
 * @param {number} width 1 to 256
 * @param {boolean} fresh past the browser's cache
 * @returns {Promise<Bytes>}
 * @throws {Unreached}
 */
async function fetchTile(level, index, width, fresh) {
  const cache = fresh ? "reload" : "default";
  const response = (await fetchFile(tilePath(level, index, width), cache)) ?? (width < WIDTH ? await fetchFile(tilePath(level, index, WIDTH), cache) : null);
  if (!response) throw new Unreached(`The ledger has no file ${tilePath(level, index, width)}.`);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new Unreached("The cell's answer broke off.");
  }
}

/** @type {Map<string, Promise<Bytes[][]>>} */
const held = new Map();

/**
 * @param {number} level
 * @param {number} index
 * @param {number} width
 * @param {boolean} fresh
 * @returns {Promise<Bytes[][]>} the tile's hashes and those above them, row by row
 */
async function readRows(level, index, width, fresh) {
  const tile = await fetchTile(level, index, width, fresh);
  if (tile.length % HASH || tile.length < width * HASH || tile.length > WIDTH * HASH) throw new TypeError("a tile has another length than the ledger's size says");
  const rows = [Array.from({ length: width }, (_, i) => tile.slice(i * HASH, (i + 1) * HASH))];
  for (let below = rows[0]; below.length > 1; below = rows[rows.length - 1]) {
    rows.push(await Promise.all(Array.from({ length: below.length >> 1 }, (_, i) => nodeHash(below[2 * i], below[2 * i + 1]))));
  }
  return rows;
}

/**
 * A reader of the nodes of the tree of `size`, each tile fetched once. What it reads is the server's word
 * until a proof made of it leads to a signed root.
 * @param {number} size
 * @param {boolean} [fresh] past every cache
 * @returns {import("./merkle.js").Node}
 * @throws (the reader) {Unreached} or {TypeError} for a tile of a wrong length
 */
export function nodeReader(size, fresh = false) {
  /** @type {Map<string, Promise<Bytes[][]>>} */
  const read = new Map();
  return async (height, index) => {
    const level = Math.floor(height / HEIGHT);
    const within = height % HEIGHT;
    const tile = Math.floor(index / 2 ** (HEIGHT - within));
    const width = widthAt(level, tile, size);
    const key = tilePath(level, tile, width);
    let rows = read.get(key) ?? (fresh ? undefined : held.get(key));
    if (!rows) {
      rows = readRows(level, tile, width, fresh);
      rows.catch(() => held.delete(key));
      if (width === WIDTH) hold(key, rows);
    }
    read.set(key, rows);
    return (await rows)[within][index - tile * 2 ** (HEIGHT - within)];
  };
}

/** @param {string} key @param {Promise<Bytes[][]>} rows */
function hold(key, rows) {
  held.delete(key);
  held.set(key, rows);
  for (const oldest of held.keys()) {
    if (held.size <= HELD) break;
    held.delete(oldest);
  }
}

/**
 * @param {Bytes} bundle entries, each behind its length in two bytes, big endian
 * @param {number} place of the entry in the bundle
 * @returns {string} its text
 * @throws {TypeError} the bundle is malformed or has no such entry
 */
function entryIn(bundle, place) {
  let at = 0;
  for (let i = 0; at + 2 <= bundle.length; i++) {
    const end = at + 2 + bundle[at] * 256 + bundle[at + 1];
    if (end > bundle.length) break;
    if (i === place) return new TextDecoder("utf-8", { fatal: true }).decode(bundle.subarray(at + 2, end));
    at = end;
  }
  throw new TypeError("the bundle has no such entry");
}

/**
 * Read one entry from the ledger's public files.
 * @param {number} index
 * @param {number} size of the tree
 * @returns {Promise<string>} the entry's text
 * @throws {Unreached} or {TypeError} if the bundle is malformed
 */
export async function fetchEntry(index, size) {
  const bundle = Math.floor(index / WIDTH);
  return entryIn(await fetchTile("entries", bundle, widthAt(0, bundle, size), false), index % WIDTH);
}
