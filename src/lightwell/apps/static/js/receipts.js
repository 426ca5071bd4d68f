// Keeps receipts in this browser, whole enough to be checked without the cell, and says how each one stands.

import { withFailure } from "./ledgers.js";
import { change, changeAll, drop, read, readAll } from "./store.js";

/** @typedef {import("./ledgers.js").Failure} Failure */
/** @typedef {import("./ledgers.js").Finding} Finding */
/** @typedef {import("./ledgers.js").Ledger} Ledger */
/** @typedef {import("./verify.js").Line} Line */
/**
 * Where the ledger holds the entry, under a checkpoint; `joined` once that checkpoint was found to be of the same ledger as
 * the newest one that this browser has seen. `signed` of `witnesses` have cosigned it, with `good` keys.
 * @typedef {{index: number, size: number, proof: string[], checkpoint: string, signed: number, witnesses: number, good: number, joined: boolean}} Place
 */
/**
 * `nonce` is what this browser drew for the slate, missing in receipts of earlier versions; `opening`, `inputs_digest` and
 * `slate` are null in still earlier ones. `by` is when the entry is due, in
 * seconds; `at` is when the slate came, `checked` when this was last held against the ledger and came out (ms).
 * @typedef {{leaf: string, at: number, tab: string, videos: number, entry: string, opening: string | null, inputs_digest: string | null, slate: Line[] | null, promise: string, vkey: string, origin: string, by: number | null, nonce?: string, place: Place | null, checked: {at: number, size: number} | null, failures: Failure[]}} Receipt
 */
/** @typedef {{state: "promised" | "in" | "cosigned" | "failed", words: string, failures: Failure[]}} Standing */

const MOST = 500;
const FORMER = "lightwell.receipts";

/** @param {Record<string, any>} kept of localStorage, as earlier versions wrote it @returns {Receipt} */
function fromFormer({ leaf, at, tab, videos, entry, promise, vkey, origin }) {
  return { leaf, at, tab, videos, entry, opening: null, inputs_digest: null, slate: null, promise, vkey, origin, by: null, place: null, checked: null, failures: [] };
}

/** @type {Promise<void> | null} */
let moved = null;

/** Move what earlier versions kept in localStorage, once. */
function moveFormer() {
  moved ??= (async () => {
    try {
      const text = localStorage.getItem(FORMER);
      if (text === null) return;
      const kept = JSON.parse(text);
      const former = (Array.isArray(kept) ? kept : []).filter((one) => /^[0-9a-f]{64}$/.test(one?.leaf) && typeof one.entry === "string");
      await changeAll("receipts", new Map(former.map((one) => [one.leaf, (old) => (old ? undefined : fromFormer(one))])));
      localStorage.removeItem(FORMER);
    } catch {
      // No store or no receipts in it: there is nothing to move.
    }
  })();
  return moved;
}

/** @returns {Promise<Receipt[]>} newest first */
export async function receipts() {
  await moveFormer();
  return (await readAll("receipts")).sort((a, b) => b.at - a.at);
}

/** @param {string} leaf @returns {Promise<Receipt | undefined>} */
export async function receiptOf(leaf) {
  await moveFormer();
  return read("receipts", leaf);
}

/** Keep a receipt; beyond 500 the oldest go, first those that held. @param {Receipt} receipt */
export async function keepReceipt(receipt) {
  const list = await receipts();
  await change("receipts", receipt.leaf, (old) => (old ? receipt.failures.reduce((kept, failure) => failed(kept, failure, failure.last), old) : receipt));
  const over = list.length + 1 - MOST;
  if (over <= 0) return;
  const oldest = list.reverse().filter(({ leaf }) => leaf !== receipt.leaf);
  const held = oldest.filter(({ failures }) => !failures.length);
  await drop("receipts", [...held, ...oldest.filter(({ failures }) => failures.length)].slice(0, over).map(({ leaf }) => leaf));
}

/**
 * Change receipts that are kept.
 * @param {Map<string, (receipt: Receipt) => Receipt>} changes by leaf
 */
export const amend = (changes) =>
  changeAll("receipts", new Map([...changes].map(([leaf, change]) => [leaf, (/** @type {Receipt | undefined} */ old) => old && change(old)])));

/** @param {Receipt} receipt @param {Finding} finding @param {number} at @returns {Receipt} */
export const failed = (receipt, finding, at) => ({ ...receipt, failures: withFailure(receipt.failures, finding, at) });

/**
 * The receipt with a place that was proven now. The first place stays; one with more cosignatures takes over.
 * @param {Receipt} receipt
 * @param {Place} place
 * @param {number} at
 * @returns {Receipt}
 */
export function placed(receipt, place, at) {
  const { place: old } = receipt;
  if (old && old.index !== place.index) {
    const words = `The ledger shows the entry at place ${place.index.toLocaleString("en")}, and showed it at ${old.index.toLocaleString("en")} before.`;
    return failed(receipt, { kind: "moved", words, evidence: [old.checkpoint, place.checkpoint] }, at);
  }
  const asGood = old?.joined && old.witnesses === place.witnesses && old.signed >= place.signed && old.good >= place.good;
  return asGood ? receipt : { ...receipt, place };
}

/**
 * Take receipts as right that did not hold only because their key was new: the person says that it is right.
 * @param {string[]} vkeys
 */
export async function acceptPromises(vkeys) {
  const at = Date.now();
  const own = (await receipts()).filter(({ vkey, failures }) => vkeys.includes(vkey) && failures.length);
  await amend(new Map(own.map(({ leaf }) => [leaf, (receipt) =>
    ({ ...receipt, failures: receipt.failures.map((failure) => (failure.kind === "roster" && !failure.accepted ? { ...failure, accepted: at } : failure)) })])));
}

/** Forget every receipt, and what was seen of the ledgers. */
export async function forgetAll() {
  const [kept, known] = await Promise.all([receipts(), readAll("ledgers")]);
  await drop("receipts", kept.map(({ leaf }) => leaf));
  await drop("ledgers", known.map(({ origin }) => origin));
}

/**
 * How a receipt stands: what did not hold, of itself or of its ledger up to now, outweighs all that did.
 * @param {Receipt} receipt
 * @param {Ledger | undefined} ledger of its origin
 * @returns {Standing}
 */
export function standing(receipt, ledger) {
  const ofLedger = (ledger?.failures ?? []).filter(({ last, accepted }) => !accepted && receipt.at <= last);
  const failures = [...receipt.failures.filter(({ accepted }) => !accepted), ...ofLedger];
  if (failures.length) return { state: "failed", words: "does not hold", failures };
  const { place } = receipt;
  if (!place) return { state: "promised", words: "promised", failures };
  if (!place.signed) return { state: "in", words: "in the ledger", failures };
  return { state: "cosigned", words: `cosigned ${place.signed} of ${place.witnesses}`, failures };
}

/** @param {Failure} failure @returns {boolean} true if it is to be told on the feed: the person has not put it off */
export const isLoud = ({ hidden, accepted }) => !accepted && !hidden;

/** Put everything that does not hold off the feed; it stays where receipts are. */
export async function quieten() {
  const at = Date.now();
  const hush = (/** @type {any} */ record) => record && { ...record, failures: record.failures.map((/** @type {Failure} */ failure) => (isLoud(failure) ? { ...failure, hidden: at } : failure)) };
  const [kept, known] = await Promise.all([receipts(), readAll("ledgers")]);
  await changeAll("receipts", new Map(kept.map(({ leaf }) => [leaf, hush])));
  await changeAll("ledgers", new Map(known.map(({ origin }) => [origin, hush])));
}
