// Gathers all that is known of one receipt and checks it step by step.

import { ApiProblem, get } from "../api.js";
import { sha256, toHex, utf8 } from "../bytes.js";
import { receiptOf } from "../receipts.js";
import { trustedKeys } from "../trust.js";
import { canCheck, checkInclusion, checkSlate } from "../verify.js";
import { fetchEntry } from "./bundle.js";

/** @typedef {import("../verify.js").Step} Step */
/** @typedef {{steps: Step[], entry: string | null, index: number | null, size: number | null, record: Record<string, any> | null, at: number | null}} Opened */

/** @param {string} id @param {string} title @param {string} detail @returns {Step} */
const unknown = (id, title, detail) => ({ id, title, state: "unknown", detail });

/** @param {string} path @returns {Promise<any>} null when the cell has no such thing for this asker */
async function ask(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof ApiProblem && [401, 403, 404].includes(error.status)) return null;
    throw error;
  }
}

/**
 * Open the receipt of a leaf.
 * @param {string} leaf 64 hex characters
 * @returns {Promise<Opened>}
 */
export async function openReceipt(leaf) {
  if (!(await canCheck())) {
    return { steps: [unknown("browser", "This browser can check", "It lacks Ed25519 or a secure origin.")], entry: null, index: null, size: null, record: null, at: null };
  }
  const kept = receiptOf(leaf);
  const [record, answer, keys, status] = await Promise.all([ask(`/api/slates/${leaf}`), ask(`/ledger/proof?leaf=${leaf}`), trustedKeys(), ask("/ledger/status")]);
  const vkey = kept?.vkey ?? keys?.ledger[0] ?? status?.vkey ?? "";
  /** @type {Step[]} */
  const steps = [];
  let entry = kept?.entry ?? null;
  if (answer) {
    try {
      entry = await fetchEntry(answer.index, answer.size);
    } catch (error) {
      steps.push({ id: "entry", title: "The entry can be read from the ledger's public files", state: "failed", detail: error instanceof Error ? error.message : String(error) });
    }
  }
  if (record && entry) {
    const inputs = toHex(await sha256(utf8(record.inputs)));
    const promise = kept?.promise ?? "";
    const lines = JSON.parse(record.slate).items;
    const verdict = await checkSlate(lines, { entry, opening: record.opening, inputs_digest: inputs, promise, vkey, origin: kept?.origin ?? vkey.split("+")[0], leaf }, keys && keys.ledger);
    for (const step of verdict.steps) steps.push(!kept && ["leaf", "promise"].includes(step.id) ? unknown(step.id, step.title, "This browser does not hold the promise; the one that got the slate does.") : step);
  } else {
    steps.push(unknown("commitment", "These videos, in this order, are what was committed", "Only the viewer it was made for can open the record. Sign in as them."));
  }
  if (answer) {
    const verdict = await checkInclusion(leaf, answer, vkey, keys?.witnesses ?? []);
    steps.push(...verdict.steps);
  } else {
    steps.push(unknown("inclusion", "The ledger holds the entry", "No checkpoint covers it yet. It takes a second or so; the page will ask again."));
  }
  return { steps, entry, index: answer?.index ?? null, size: answer?.size ?? null, record, at: kept?.at ?? null };
}
