// What this browser knows of a ledger: the keys it saw first, the newest checkpoint, and every time the ledger did not hold.

import { nameOf } from "./note.js";
import { change, readAll } from "./store.js";

/**
 * Something that did not hold. It stays, whatever holds later. `first` and `last` are when it was seen, in ms; `evidence`
 * are signed notes; `hidden` is when the person put it off the feed, `accepted` when they took new keys as right (0: not).
 * @typedef {{kind: string, words: string, first: number, last: number, evidence: string[], hidden: number, accepted: number}} Failure
 */
/** @typedef {{kind: string, words: string, evidence?: string[]}} Finding what did not hold just now */
/**
 * `ledgerKeys` and `witnessKeys` are vkeys as first seen (at `pinnedAt`, 0 before), `formerKeys` those before keys were
 * accepted; `newest` is the newest checkpoint that
 * held, `checkedAt` when the whole was last checked and held.
 * @typedef {{origin: string, ledgerKeys: string[], witnessKeys: string[], formerKeys: string[], pinnedAt: number, newest: {note: string, size: number, at: number} | null, failures: Failure[], checkedAt: number}} Ledger
 */
/** @typedef {import("./trust.js").Keys} Keys */

/**
 * Put what did not hold to the list, or say of the one that is there that it was seen again.
 * @param {Failure[]} failures
 * @param {Finding} finding
 * @param {number} at
 * @returns {Failure[]}
 */
export function withFailure(failures, { kind, words, evidence = [] }, at) {
  const there = failures.find((failure) => failure.kind === kind && !failure.accepted);
  if (there) return failures.map((failure) => (failure === there ? { ...failure, last: Math.max(failure.last, at) } : failure));
  return [...failures, { kind, words, first: at, last: at, evidence, hidden: 0, accepted: 0 }];
}

/** @param {string} origin @returns {Ledger} */
const unseen = (origin) => ({ origin, ledgerKeys: [], witnessKeys: [], formerKeys: [], pinnedAt: 0, newest: null, failures: [], checkedAt: 0 });

/** @returns {Promise<Ledger[]>} */
export const ledgers = () => readAll("ledgers");

/** @param {string} origin @param {Keys} keys @returns {Keys} those that the roster names for this ledger */
const named = (origin, keys) => ({ ledger: keys.ledger.filter((vkey) => nameOf(vkey) === origin), witnesses: keys.witnesses });

/**
 * How the roster's keys differ from those that this browser saw first.
 * @param {Ledger} ledger
 * @param {Keys} keys
 * @returns {string} in words; empty if they do not
 */
function changed({ ledgerKeys, witnessKeys }, keys) {
  if (!keys.ledger.length) return "The roster no longer names a key for this ledger.";
  const same = keys.ledger.length === ledgerKeys.length && keys.ledger.every((vkey) => ledgerKeys.includes(vkey));
  if (!same) return "The ledger's key changed: the roster names another one than this browser saw first.";
  const gone = witnessKeys.filter((vkey) => !keys.witnesses.includes(vkey)).map(nameOf);
  if (!gone.length) return "";
  const names = [...new Set(gone)].join(", ");
  const replaced = gone.every((name) => keys.witnesses.map(nameOf).includes(name));
  return replaced ? `The key of the witness ${names} changed since this browser saw it first.` : `The roster no longer names the witness ${names}.`;
}

/**
 * Keep the keys of a ledger as they are seen first; afterwards hold the roster against them. A witness that is new to the
 * roster is added: it takes nothing away.
 * @param {string} origin
 * @param {Keys | null} keys of the roster; null while it is not at hand
 * @param {number} [at]
 * @returns {Promise<Ledger>}
 */
export async function pin(origin, keys, at = Date.now()) {
  const kept = await change("ledgers", origin, (old) => {
    /** @type {Ledger} */
    const ledger = old ?? unseen(origin);
    if (!keys) return old;
    const now = named(origin, keys);
    if (!ledger.pinnedAt) return now.ledger.length ? { ...ledger, ledgerKeys: now.ledger, witnessKeys: now.witnesses, pinnedAt: at } : old;
    const words = changed(ledger, now);
    if (words) return { ...ledger, failures: withFailure(ledger.failures, { kind: "keys", words, evidence: [...now.ledger, ...now.witnesses] }, at) };
    return { ...ledger, witnessKeys: [...new Set([...ledger.witnessKeys, ...now.witnesses])] };
  });
  return kept ?? unseen(origin);
}

/**
 * Take the roster's keys as right from now on, because the person says so. What did not hold before stays on record.
 * @param {string} origin
 * @param {Keys} keys
 * @param {number} [at]
 */
export function acceptKeys(origin, keys, at = Date.now()) {
  return change("ledgers", origin, (/** @type {Ledger | undefined} */ ledger) => {
    if (!ledger) return undefined;
    const now = named(origin, keys);
    const failures = ledger.failures.map((failure) => (["keys", "signature"].includes(failure.kind) && !failure.accepted ? { ...failure, accepted: at } : failure));
    const formerKeys = [...new Set([...ledger.formerKeys, ...ledger.ledgerKeys])];
    return { ...ledger, ledgerKeys: now.ledger, witnessKeys: now.witnesses, formerKeys, failures };
  });
}

/** @param {string} origin @param {Finding} finding @param {number} at @returns {Promise<Ledger>} */
export const failLedger = (origin, finding, at) => change("ledgers", origin, (old) => {
  /** @type {Ledger} */
  const ledger = old ?? unseen(origin);
  return { ...ledger, failures: withFailure(ledger.failures, finding, at) };
});

/** @param {string} origin @param {{note: string, size: number}} checkpoint that held @param {number} at @returns {Promise<Ledger>} */
export const sawCheckpoint = (origin, { note, size }, at) => change("ledgers", origin, (old) => {
  /** @type {Ledger} */
  const ledger = old ?? unseen(origin);
  // Another page may have seen a newer one meanwhile.
  const newest = ledger.newest && ledger.newest.size > size ? ledger.newest : { note, size, at };
  return { ...ledger, newest, checkedAt: Math.max(ledger.checkedAt, at) };
});
