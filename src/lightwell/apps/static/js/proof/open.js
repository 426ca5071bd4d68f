// Gathers all that is known of one receipt and checks it step by step.

import { ApiProblem, get } from "../api.js";
import { sha256, toHex, utf8 } from "../bytes.js";
import { ownFinding, recheck, checkKept } from "../recheck.js";
import { amend, failed, receiptOf } from "../receipts.js";
import { Unreached, fetchEntry, fetchPlace } from "../tiles.js";
import { askKeys } from "../trust.js";
import { canCheck, checkInclusion, checkSeed, checkSlate } from "../verify.js";

/** @typedef {import("../ledgers.js").Ledger} Ledger */
/** @typedef {import("../receipts.js").Receipt} Receipt */
/** @typedef {import("../verify.js").Step} Step */
/** @typedef {{inputs: string, slate: string, opening: string}} SlateRecord as the cell keeps it for its viewer */
/**
 * `receipt` and `ledger` are there if this browser keeps the receipt; `problem` says why the ledger could not be asked.
 * @typedef {{steps: Step[], entry: string | null, index: number | null, size: number | null, record: SlateRecord | null, receipt?: Receipt, ledger?: Ledger, problem: string}} Opened
 */

/** @param {string} id @param {string} title @param {string} detail @returns {Step} */
const unknown = (id, title, detail) => ({ id, title, state: "unknown", detail });

/** @param {string} leaf @returns {Promise<SlateRecord | null>} null if the cell has none for this asker, or does not answer */
async function askRecord(leaf) {
  try {
    return await get(`/api/slates/${leaf}`);
  } catch (error) {
    if (error instanceof ApiProblem) return null;
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
    const steps = [unknown("browser", "This browser can check", "It lacks Ed25519 or a secure origin.")];
    return { steps, entry: null, index: null, size: null, record: null, problem: "" };
  }
  const record = await askRecord(leaf);
  return (await receiptOf(leaf)) ? openKept(leaf, record) : openForeign(leaf, record);
}

/**
 * Open a receipt that this browser keeps: from what is kept, and from the ledger as it is now.
 * @param {string} leaf
 * @param {SlateRecord | null} record
 * @returns {Promise<Opened>}
 */
async function openKept(leaf, record) {
  const { problem, ledgers } = await recheck({ only: leaf });
  const keys = await askKeys();
  let receipt = /** @type {Receipt} */ (await receiptOf(leaf));
  const ledger = ledgers.get(receipt.origin);
  const { ledgerKeys = [], formerKeys = [], witnessKeys = keys?.witnesses ?? [], newest } = ledger ?? {};
  const accepted = [...ledgerKeys, ...formerKeys];
  const { steps } = await checkKept(receipt, keys && [...keys.ledger, ...formerKeys], accepted);
  if (!receipt.slate) steps.unshift(unknown("commitment", "These videos, in this order, are what was committed", "This receipt was kept before openings were; sign in as its viewer to get the record."));
  if (record) {
    const step = await compareRecord(record, receipt);
    steps.push(step);
    const drawn = await checkSeed(receipt.nonce, record.inputs);
    steps.push(drawn);
    for (const wrong of [step, drawn].filter(({ state }) => state === "failed")) {
      await amend(new Map([[leaf, (old) => failed(old, ownFinding(wrong), Date.now())]]));
    }
  }
  const { place } = receipt;
  if (place) {
    const verdict = await checkInclusion(leaf, place, accepted.length ? accepted : [receipt.vkey], witnessKeys);
    steps.push(...verdict.steps, stillThere(receipt, newest?.size ?? 0, problem));
  } else {
    steps.push(unknown("inclusion", "The ledger holds the entry", problem ? `It could not be asked now: ${problem}` : "No checkpoint covers it yet. It takes a second or so; the page will ask again."));
  }
  receipt = /** @type {Receipt} */ (await receiptOf(leaf));
  return { steps, entry: receipt.entry, index: place?.index ?? null, size: place?.size ?? null, record, receipt, ledger, problem };
}

/**
 * @param {Receipt} receipt with a place
 * @param {number} size of the newest checkpoint that held
 * @param {string} problem
 * @returns {Step}
 */
function stillThere({ checked, place, failures }, size, problem) {
  const [id, title] = ["newest", "The newest checkpoint still holds it"];
  if (failures.some(({ kind }) => kind === "lost")) return { id, title, state: "failed", detail: "once it was not at its place" };
  if (problem) return unknown(id, title, `It could not be checked now: ${problem}`);
  if (!checked || !place?.joined || checked.size < size) return unknown(id, title, "It has not been held against the newest checkpoint.");
  return { id, title, state: "held", detail: `At the same place in ${checked.size.toLocaleString("en")} entries, which begin with all that this browser has seen before.` };
}

/**
 * @param {SlateRecord} record
 * @param {Receipt} receipt
 * @returns {Promise<Step>}
 */
async function compareRecord(record, receipt) {
  const step = { id: "record", title: "The cell's own record is the one that was committed" };
  const inputs = toHex(await sha256(utf8(record.inputs)));
  const proof = { entry: receipt.entry, opening: record.opening, inputs_digest: inputs, promise: receipt.promise, vkey: receipt.vkey, origin: receipt.origin, leaf: receipt.leaf };
  const verdict = await checkSlate(linesOf(record), proof, null);
  const held = verdict.steps[0].state === "held";
  return held ? { ...step, state: "held", detail: "Its slate, inputs and opening make the same commitment." }
    : { ...step, state: "failed", detail: "the cell now shows another record of this slate than it committed" };
}

/** @param {SlateRecord} record @returns {import("../verify.js").Line[]} none if it cannot be read */
export function linesOf(record) {
  try {
    return JSON.parse(record.slate).items;
  } catch {
    return [];
  }
}

/**
 * Open a receipt that another browser got, from what the cell says of it.
 * @param {string} leaf
 * @param {SlateRecord | null} record
 * @returns {Promise<Opened>}
 */
async function openForeign(leaf, record) {
  const keys = await askKeys();
  let answer = null;
  let entry = null;
  let problem = "";
  /** @type {Step[]} */
  const steps = [];
  try {
    answer = await fetchPlace(leaf);
    if (answer) entry = await fetchEntry(answer.index, answer.size);
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
    if (!(error instanceof Unreached)) steps.push({ id: "entry", title: "The entry can be read from the ledger's public files", state: "failed", detail: problem });
  }
  const vkey = keys?.ledger[0] ?? "";
  if (record && entry) {
    const inputs = toHex(await sha256(utf8(record.inputs)));
    const proof = { entry, opening: record.opening, inputs_digest: inputs, promise: "", vkey, origin: vkey.split("+")[0], leaf };
    const verdict = await checkSlate(linesOf(record), proof, keys && keys.ledger);
    for (const step of verdict.steps) {
      steps.push(["leaf", "promise"].includes(step.id) ? unknown(step.id, step.title, "This browser does not hold the promise; the one that got the slate does.") : step);
    }
  } else {
    steps.push(unknown("commitment", "These videos, in this order, are what was committed", "Only the viewer it was made for can open the record. Sign in as them."));
  }
  if (answer) steps.push(...(await checkInclusion(leaf, answer, keys?.ledger ?? [], keys?.witnesses ?? [])).steps);
  else steps.push(unknown("inclusion", "The ledger holds the entry", problem ? `It could not be asked now: ${problem}` : "No checkpoint covers it yet. It takes a second or so; the page will ask again."));
  return { steps, entry, index: answer?.index ?? null, size: answer?.size ?? null, record, problem };
}
