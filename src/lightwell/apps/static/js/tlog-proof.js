// Writes a kept receipt as one file (C2SP tlog-proof) that anybody can check without this browser or the cell.

import { sha256, toBase64, toHex, utf8 } from "./bytes.js";
import { canonical } from "./canonical.js";
import { slateBytes } from "./verify.js";

/** @typedef {import("./receipts.js").Receipt} Receipt */

/**
 * The file's text; its extra line is canonical JSON: the entry, and the opening of its commitment where it is kept.
 * @param {Receipt} receipt
 * @returns {Promise<string | null>} null while its place in the ledger is not proven
 */
export async function receiptText({ entry, opening, inputs_digest: inputs, slate, place }) {
  if (!place) return null;
  /** @type {Record<string, unknown>} */
  const extra = { entry };
  if (slate && opening !== null && inputs !== null) {
    const items = slate.map(({ score, source, video }) => ({ score, source, video }));
    Object.assign(extra, { kind: "slate", opening, digests: [inputs, toHex(await sha256(slateBytes(slate)))], content: { items } });
  }
  const lines = ["c2sp.org/tlog-proof@v1", `extra ${toBase64(utf8(canonical(extra)))}`, `index ${place.index}`, ...place.proof];
  return [...lines, "", place.checkpoint].join("\n");
}

/** @param {string} leaf @returns {string} the name of its file */
const fileName = (leaf) => `${leaf.slice(0, 16)}.tlog-proof`;

/**
 * Hand the file to the person.
 * @param {Receipt} receipt with a place
 */
export async function saveReceipt(receipt) {
  const text = await receiptText(receipt);
  if (text === null) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = fileName(receipt.leaf);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
