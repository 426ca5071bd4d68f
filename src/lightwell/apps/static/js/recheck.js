// Checks kept receipts again, against the newest checkpoint of their ledger; what once did not hold stays on record.

import { toBase64 } from "./bytes.js";
import { compare, proveIn } from "./consistency.js";
import { sentence, timeOfDay } from "./format.js";
import { failLedger, ledgers, pin, sawCheckpoint } from "./ledgers.js";
import { findWitnesses, splitNote, tally } from "./note.js";
import { amend, failed, placed, receipts } from "./receipts.js";
import { Unreached, fetchCheckpoint, fetchPlace } from "./tiles.js";
import { askKeys } from "./trust.js";
import { canCheck, checkInclusion, checkPromise, checkSigned, checkSlate } from "./verify.js";

/** @typedef {import("./checkpoint.js").Checkpoint} Checkpoint */
/** @typedef {import("./ledgers.js").Ledger} Ledger */
/** @typedef {import("./receipts.js").Receipt} Receipt */
/** @typedef {import("./receipts.js").Place} Place */
/** @typedef {import("./trust.js").Keys} Keys */
/** @typedef {(receipt: Receipt) => Receipt} Change */
/** @typedef {{receipts: Receipt[], ledgers: Map<string, Ledger>, problem: string}} Report `problem`: why not all could be checked, in words; empty if all was */

/** A slate is in the ledger a second after its promise; this much more is given to clocks and the network. */
const GRACE_S = 5;
const AGAIN_MS = 1500;
/** Receipts in one gentle turn, those first that were longest not checked: other pages of ours wait for it. */
const TURN = 40;

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Check what this browser keeps.
 * @param {{only?: string, gently?: boolean}} [how] `only` one leaf; `gently` a few only, and leaves the page room between them
 * @returns {Promise<Report>}
 */
export function recheck({ only, gently = false } = {}) {
  const work = () => run(only, gently);
  // Two pages at once would ask for the same twice.
  return navigator.locks ? navigator.locks.request("lightwell.recheck", work) : work();
}

/** @returns {Promise<Report>} as it stands, nothing asked */
export async function standingNow(problem = "") {
  const [kept, known] = await Promise.all([receipts(), ledgers()]);
  return { receipts: kept, ledgers: new Map(known.map((ledger) => [ledger.origin, ledger])), problem };
}

/** @param {string | undefined} only @param {boolean} gently @returns {Promise<Report>} */
async function run(only, gently) {
  if (!(await canCheck())) return standingNow("This browser lacks the parts to check.");
  try {
    const keys = await askKeys();
    // A place found in the first round is under a checkpoint of its own, which the second holds against the newest.
    for (let round = 0; round < 2; round++) {
      const before = await standingNow();
      const origins = new Set([...before.ledgers.keys(), ...before.receipts.map(({ origin }) => origin)]);
      let found = false;
      for (const origin of origins) {
        const own = before.receipts.filter((receipt) => receipt.origin === origin);
        found = (await checkLedger(origin, own, keys, only, gently)) || found;
      }
      if (!found) break;
    }
  } catch (error) {
    if (!(error instanceof Unreached)) throw error;
    return standingNow(error.message);
  }
  return standingNow();
}

/**
 * @param {string} origin
 * @param {Receipt[]} kept all receipts of this ledger, read before its checkpoint is asked for: it may not be older than theirs
 * @param {Keys | null} keys of the roster
 * @param {string | undefined} only
 * @param {boolean} gently
 * @returns {Promise<boolean>} true if entries were found whose places are to be held against the newest checkpoint
 * @throws {Unreached}
 */
async function checkLedger(origin, kept, keys, only, gently) {
  const ledger = await pin(origin, keys);
  const vkeys = ledger.ledgerKeys.length ? ledger.ledgerKeys : [...new Set(kept.map(({ vkey }) => vkey))];
  let newest = await fetchCheckpoint();
  let wrong = await judge(ledger, kept, newest, vkeys);
  if (wrong?.kind === "truncated") {
    // An answer that was on its way too long looks like this as well.
    await pause(AGAIN_MS);
    newest = await fetchCheckpoint();
    wrong = await judge(ledger, kept, newest, vkeys);
  }
  const at = Date.now();
  if (wrong) {
    await failLedger(origin, wrong, at);
    return false;
  }
  await sawCheckpoint(origin, newest, at);
  await amend(new Map(kept.filter(({ place }) => place && !place.joined).map(({ leaf, place: seen }) => [leaf, (receipt) =>
    (receipt.place && seen && receipt.place.checkpoint === seen.checkpoint ? { ...receipt, place: { ...receipt.place, joined: true } } : receipt)])));
  const cosigned = cosigning(await findWitnesses(splitNote(newest.note), ledger.witnessKeys));
  /** @type {Map<string, Change>} */
  const changes = new Map();
  let found = false;
  try {
    const longest = [...kept].sort((a, b) => (a.checked?.at ?? 0) - (b.checked?.at ?? 0));
    for (const receipt of only ? kept.filter(({ leaf }) => leaf === only) : gently ? longest.slice(0, TURN) : kept) {
      if (gently) await idle();
      const change = receipt.place
        ? await checkPlaced(receipt, receipt.place, newest, cosigned)
        : await checkPromised(receipt, ledger, vkeys);
      const own = await checkOwn(receipt, ledger);
      changes.set(receipt.leaf, (old) => own(change(old)));
      found ||= !receipt.place && change(receipt).place !== null;
    }
  } finally {
    // What was found before the ledger stopped answering is kept too.
    await amend(changes);
  }
  return found;
}

/**
 * Hold the newest checkpoint against the ledger's key, its witnesses, and everything seen of this ledger before.
 * @param {Ledger} ledger
 * @param {Receipt[]} kept
 * @param {Checkpoint} newest
 * @param {string[]} vkeys
 * @returns {Promise<import("./ledgers.js").Finding | null>}
 * @throws {Unreached}
 */
async function judge(ledger, kept, newest, vkeys) {
  const evidence = [newest.note];
  if (newest.origin !== ledger.origin) {
    return { kind: "origin", words: `This address shows another ledger now: ${newest.origin}, and not ${ledger.origin}.`, evidence };
  }
  try {
    const found = await checkSigned(newest.note, vkeys);
    if (typeof found !== "string") throw new Unreached(found[1]);
  } catch (error) {
    if (error instanceof Unreached) throw error;
    return { kind: "signature", words: "The newest checkpoint is not signed by the ledger's key.", evidence };
  }
  const forged = (await findWitnesses(splitNote(newest.note), ledger.witnessKeys)).find(({ state }) => state === "bad");
  if (forged) return { kind: "cosignature", words: `The newest checkpoint carries a cosignature in the name of ${forged.name} that is not good.`, evidence };
  const seen = new Set(kept.filter(({ place }) => place && !place.joined).map(({ place }) => place?.checkpoint ?? ""));
  if (ledger.newest) seen.add(ledger.newest.note);
  for (const note of seen) {
    const wrong = await compare(note, newest);
    if (wrong) return wrong;
  }
  return null;
}

/**
 * Check that an entry whose place is known is still there.
 * @param {Receipt} receipt
 * @param {Place} place
 * @param {Checkpoint} newest
 * @param {ReturnType<typeof cosigning>} cosigned
 * @returns {Promise<Change>}
 * @throws {Unreached}
 */
async function checkPlaced({ leaf }, place, newest, cosigned) {
  const proof = await proveIn(leaf, place.index, newest);
  const at = Date.now();
  if (!proof) {
    const words = `The newest checkpoint no longer holds the entry at its place, ${place.index.toLocaleString("en")}.`;
    return (receipt) => failed(receipt, { kind: "lost", words, evidence: [place.checkpoint, newest.note] }, at);
  }
  const now = { index: place.index, size: newest.size, proof: proof.map(toBase64), checkpoint: newest.note, joined: true, ...cosigned };
  return (receipt) => ({ ...placed(receipt, now, at), checked: { at, size: newest.size } });
}

/**
 * Ask where an entry that was promised is.
 * @param {Receipt} receipt
 * @param {Ledger} ledger
 * @param {string[]} vkeys
 * @returns {Promise<Change>}
 * @throws {Unreached}
 */
async function checkPromised({ leaf, by, at: came }, ledger, vkeys) {
  const answer = await fetchPlace(leaf);
  if (!answer) return absent(by, came);
  return placing(answer, await checkInclusion(leaf, answer, vkeys, ledger.witnessKeys));
}

/**
 * What follows from the ledger's answer where an entry is.
 * @param {import("./verify.js").Inclusion} answer
 * @param {import("./verify.js").InclusionVerdict} verdict on it
 * @returns {Change}
 */
export function placing(answer, verdict) {
  const at = Date.now();
  const wrong = verdict.steps.find(({ state }) => state === "failed");
  if (wrong) return (receipt) => failed(receipt, { kind: "inclusion", words: sentence(wrong.detail), evidence: [answer.checkpoint] }, at);
  const { index, size, proof, checkpoint } = answer;
  const place = { index, size, proof, checkpoint, ...cosigning(verdict.witnesses), joined: false };
  return (receipt) => ({ ...placed(receipt, place, at), checked: { at, size } });
}

/** @param {import("./note.js").Witness[]} found */
function cosigning(found) {
  const { names, signed, good } = tally(found);
  return { signed: signed.length, witnesses: names.length, good };
}

/**
 * What follows from an entry that the ledger does not have.
 * @param {number | null} by when it was due, in seconds
 * @param {number} came when its promise came, in ms
 * @returns {Change}
 */
export function absent(by, came) {
  const at = Date.now();
  // The promise's time is the cell's clock. One that had passed when the promise came tells of clocks, not of the ledger.
  const due = Math.max((by ?? 0) * 1000, came) + GRACE_S * 1000;
  if (by === null || at <= due) return (receipt) => receipt;
  const words = `The promise was broken: the entry was due at ${timeOfDay(by * 1000)}, and at ${timeOfDay(at)} it was not in the ledger.`;
  return (receipt) => failed(receipt, { kind: "overdue", words }, at);
}

/**
 * Check what needs no network: that the slate, the entry and the promise fit each other and the keys seen first.
 * @param {Receipt} kept
 * @param {Ledger} ledger
 * @returns {Promise<Change>}
 */
async function checkOwn(kept, ledger) {
  const { steps, by } = await checkKept(kept, null, [...ledger.ledgerKeys, ...ledger.formerKeys]);
  const at = Date.now();
  const wrong = steps.find(({ state }) => state === "failed");
  return (receipt) => {
    const known = receipt.by === null && by !== null ? { ...receipt, by } : receipt;
    return wrong ? failed(known, ownFinding(wrong), at) : known;
  };
}

/**
 * @param {import("./verify.js").Step} wrong a step that failed
 * @returns {import("./ledgers.js").Finding}
 */
export const ownFinding = ({ id, detail }) => ({ kind: id, words: id === "promise" ? `The promise does not hold: ${detail}.` : sentence(detail) });

/**
 * @param {Receipt} kept
 * @param {string[] | null} ledgerKeys of the roster, if it is at hand
 * @param {string[]} pinnedKeys
 * @returns {Promise<import("./verify.js").Verdict>}
 */
export function checkKept(kept, ledgerKeys, pinnedKeys) {
  const { slate, opening, inputs_digest: inputs, entry, promise, vkey, origin, leaf } = kept;
  const proof = { entry, promise, vkey, origin, leaf };
  if (slate && opening !== null && inputs !== null) return checkSlate(slate, { ...proof, opening, inputs_digest: inputs }, ledgerKeys, pinnedKeys);
  return checkPromise(proof, ledgerKeys, pinnedKeys);
}

/** @returns {Promise<unknown>} when the page has nothing better to do */
const idle = () => new Promise((resolve) => ("requestIdleCallback" in globalThis ? requestIdleCallback(resolve, { timeout: 500 }) : setTimeout(resolve, 20)));
