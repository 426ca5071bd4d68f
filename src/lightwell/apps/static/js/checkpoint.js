// Checkpoints of a ledger (C2SP tlog-checkpoint): its name, its size and the root over its entries.

import { fromBase64 } from "./bytes.js";
import { splitNote } from "./note.js";

/** @typedef {{origin: string, size: number, root: import("./bytes.js").Bytes, note: string}} Checkpoint */

/**
 * Read a checkpoint; its signatures are not checked yet.
 * @param {string} note as signed
 * @returns {Checkpoint}
 * @throws {TypeError} malformed
 */
export function readCheckpoint(note) {
  const [origin, size, root, ...rest] = splitNote(note).text.split("\n");
  if (!origin || rest.pop() !== "" || !/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new TypeError("the checkpoint is malformed");
  }
  const hash = fromBase64(root);
  if (hash.length !== 32) throw new TypeError("the checkpoint's root is not 32 bytes");
  return { origin, size: Number(size), root: hash, note };
}
