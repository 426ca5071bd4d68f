// Checks that a slate is the one promised to the ledger, and that the ledger kept the promise. Pure: no page, no network.

import { brief, concat, fromBase64, fromHex, hmacSha256, same, sha256, toHex, utf8 } from "./bytes.js";
import { canonical } from "./canonical.js";
import { readCheckpoint } from "./checkpoint.js";
import { leafHash, rootFromProof } from "./merkle.js";
import { algorithmOf, findSignature, findWitnesses, nameOf, readVerifier, signedBy, signsForLog, splitNote, tally } from "./note.js";
import { readPromise } from "./promise.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {"held" | "failed" | "unknown"} State */
/** @typedef {{id: string, title: string, state: State, detail: string}} Step */
/** @typedef {{video: string, score: number, source: string}} Line one line of a slate, as it was shown */
/** @typedef {{entry: string, opening: string, inputs_digest: string, promise: string, vkey: string, origin: string, leaf: string}} Proof */
/** @typedef {{held: boolean, steps: Step[], by: number | null}} Verdict `by`: when the entry must be in, in seconds */
/** @typedef {{index: number, size: number, proof: string[], checkpoint: string}} Inclusion */
/** @typedef {import("./note.js").Witness} Witness */
/** @typedef {Verdict & {index: number, size: number, witnesses: Witness[]}} InclusionVerdict */

/**
 * Run one check; a thrown error is a check that did not hold, in its words.
 * @param {Step[]} steps
 * @param {string} id
 * @param {string} title
 * @param {() => Promise<string | [State, string]>} check returns what it found, throws why it did not hold
 */
async function step(steps, id, title, check) {
  try {
    const found = await check();
    const [state, detail] = typeof found === "string" ? /** @type {[State, string]} */ (["held", found]) : found;
    steps.push({ id, title, state, detail });
  } catch (error) {
    steps.push({ id, title, state: "failed", detail: error instanceof Error ? error.message : String(error) });
  }
}

/** @param {boolean} truth @param {string} words what did not hold */
function must(truth, words) {
  if (!truth) throw new Error(words);
}

/**
 * The canonical bytes of a slate.
 * @param {Line[]} lines in the order shown
 * @returns {Bytes}
 */
export function slateBytes(lines) {
  return utf8(canonical({ items: lines.map(({ score, source, video }) => ({ score, source, video })) }));
}

/**
 * The commitment of a slate: HMAC-SHA256 under its opening over its label and both digests.
 * @param {Bytes} opening at least 16 bytes
 * @param {Bytes} inputsDigest 32 bytes
 * @param {Bytes} slateDigest 32 bytes
 * @returns {Promise<Bytes>} 32 bytes
 */
export async function slateCommitment(opening, inputsDigest, slateDigest) {
  must(opening.length >= 16, "the opening is too short");
  must(inputsDigest.length === 32 && slateDigest.length === 32, "a digest is not 32 bytes");
  return hmacSha256(opening, concat(utf8("lightwell/slate/v1\n"), inputsDigest, slateDigest));
}

/**
 * Check that a ledger promised to take in an entry.
 * @param {Pick<Proof, "entry" | "leaf" | "promise" | "origin" | "vkey">} proof
 * @param {string[] | null} ledgerKeys the ledger keys that the roster names; null when it is not at hand
 * @param {string[]} pinnedKeys those that this browser saw first; none if it has not seen any
 * @returns {Promise<Verdict>}
 */
export async function checkPromise(proof, ledgerKeys, pinnedKeys) {
  /** @type {Step[]} */
  const steps = [];
  let by = null;
  await step(steps, "leaf", "The entry is the one that was promised", async () => {
    const leaf = await leafHash(utf8(proof.entry));
    must(toHex(leaf) === proof.leaf, "the leaf is not the hash of the entry");
    const promise = await readPromise(proof.promise);
    must(same(leaf, promise.leaf), "the promise is for another entry");
    must(promise.origin === proof.origin, "the promise is of another ledger");
    by = promise.by;
    return `Leaf ${brief(proof.leaf)}, due in ${promise.origin} within its time.`;
  });
  await step(steps, "promise", "The ledger's key signed the promise", async () => {
    const key = await readVerifier(proof.vkey);
    must(key.name === proof.origin, "the key is of another ledger");
    must(await signedBy((await readPromise(proof.promise)).note, key), "the signature is not good");
    return `${algorithmOf(key)}, key ${key.name}.`;
  });
  await step(steps, "roster", "The roster names that key for this ledger, as before", async () => {
    if (ledgerKeys) must(ledgerKeys.includes(proof.vkey), "the roster does not name this key");
    must(!pinnedKeys.length || pinnedKeys.includes(proof.vkey), "the ledger's key is not the one that this browser saw first");
    if (!ledgerKeys) return ["unknown", "The roster is not at hand."];
    return "The key stands in the agreement's roster.";
  });
  return { held: steps.every(({ state }) => state === "held"), steps, by };
}

/**
 * Check a feed answer: the slate shown, its commitment, its entry, and the ledger's promise to keep that entry.
 * @param {Line[]} lines the slate in the order shown
 * @param {Proof} proof from the same answer
 * @param {string[] | null} ledgerKeys the ledger keys that the roster names; null when it is not at hand
 * @param {string[]} [pinnedKeys] those that this browser saw first
 * @returns {Promise<Verdict>} `held` only if each check held and none stayed unknown
 */
export async function checkSlate(lines, proof, ledgerKeys, pinnedKeys = []) {
  /** @type {Step[]} */
  const steps = [];
  await step(steps, "commitment", "These videos, in this order, are what was committed", async () => {
    const entry = JSON.parse(proof.entry);
    must(canonical(entry) === proof.entry, "the entry is not canonical");
    must(entry.kind === "SlateServed", `the entry is not of a slate but ${entry.kind}`);
    const digest = await sha256(slateBytes(lines));
    const made = toHex(await slateCommitment(fromHex(proof.opening), fromHex(proof.inputs_digest), digest));
    must(made === entry.commitment, "the slate shown is not the slate committed");
    return `Commitment ${brief(made)} over ${lines.length} videos and the inputs of their ranking.`;
  });
  const promised = await checkPromise(proof, ledgerKeys, pinnedKeys);
  steps.push(...promised.steps);
  return { held: steps.every(({ state }) => state === "held"), steps, by: promised.by };
}

/**
 * Check that every draw of a ranking followed from the number that this browser chose, so that the cell had no choice.
 * @param {string | undefined} nonce 32 hex characters, as sent with the request; undefined if none was
 * @param {string} inputs canonical JSON of the ranking's inputs
 * @returns {Promise<Step>}
 */
export async function checkSeed(nonce, inputs) {
  /** @type {Step[]} */
  const steps = [];
  await step(steps, "seed", "Chance was yours: every draw follows from your browser's number", async () => {
    const said = JSON.parse(inputs);
    if (!nonce) return ["unknown", "This browser gave no number for this slate, so the cell drew one."];
    must(said.nonce === nonce, said.nonce ? "the record names another number than this browser gave" : "the record says that this browser gave no number");
    const drawn = toHex(await sha256(concat(utf8("lightwell/seed/v1\n"), fromHex(nonce)))).slice(0, 32);
    must(said.seed === drawn, "the seed does not follow from this browser's number");
    return `Seed ${brief(drawn)}, from the number ${brief(nonce)} that this browser drew before the slate was made.`;
  });
  return steps[0];
}

/**
 * What a checkpoint shows of its witnesses, in words.
 * @param {Witness[]} witnesses
 * @returns {string}
 */
export function witnessWords(witnesses) {
  const { names, signed, keys, checked, blind } = tally(witnesses);
  const signing = `${signed.length} of ${names.length} signed${signed.length ? `: ${signed.join(", ")}` : ""}.`;
  return blind.length ? `${signing} This browser cannot check ${blind.join(", ")}; ${checked} of ${keys} checked.` : signing;
}

/**
 * Check that a ledger holds a leaf: the proof, the checkpoint's signature, and its witnesses.
 * @param {string} leaf hex
 * @param {Inclusion} answer as the ledger tells it
 * @param {string[]} vkeys the keys that the ledger may sign with
 * @param {string[]} witnessKeys vkeys of the witnesses that the roster names
 * @returns {Promise<InclusionVerdict>} a witness that has not signed does not unmake the proof; it is listed
 */
export async function checkInclusion(leaf, answer, vkeys, witnessKeys) {
  /** @type {Step[]} */
  const steps = [];
  /** @type {Witness[]} */
  let witnesses = [];
  await step(steps, "inclusion", "The ledger holds the entry", async () => {
    const { size, root: signed } = readCheckpoint(answer.checkpoint);
    must(size === answer.size, "the proof is for a tree of another size");
    const root = await rootFromProof(fromHex(leaf), answer.index, answer.size, answer.proof.map(fromBase64));
    must(same(root, signed), "the proof does not lead to the checkpoint's root");
    return `Entry ${answer.index.toLocaleString("en")} of ${answer.size.toLocaleString("en")}; ${answer.proof.length} hashes lead to the root.`;
  });
  await step(steps, "checkpoint", "The ledger's key signed the checkpoint", () => checkSigned(answer.checkpoint, vkeys));
  await step(steps, "witnesses", "Witnesses outside the operator saw the same ledger", async () => {
    witnesses = await findWitnesses(splitNote(answer.checkpoint), witnessKeys);
    if (witnesses.length === 0) return ["unknown", "The roster names no witness for this ledger."];
    const forged = witnesses.filter(({ state }) => state === "bad").map(({ name }) => name);
    must(!forged.length, `the cosignature in the name of ${forged.join(", ")} is not good`);
    const { names, signed } = tally(witnesses);
    return [signed.length === names.length ? "held" : "unknown", witnessWords(witnesses)];
  });
  const held = steps.every(({ state }) => state !== "failed");
  return { held, steps, by: null, index: answer.index, size: answer.size, witnesses };
}

/**
 * Check that one of these keys signed a checkpoint in its own name.
 * @param {string} checkpoint
 * @param {string[]} vkeys
 * @returns {Promise<string | [State, string]>} what was found, or why this browser cannot tell
 * @throws {Error} none of them did
 */
export async function checkSigned(checkpoint, vkeys) {
  const { origin } = readCheckpoint(checkpoint);
  const own = vkeys.filter((vkey) => nameOf(vkey) === origin);
  must(own.length > 0, "the checkpoint is of another ledger");
  let blind = "";
  for (const vkey of own) {
    const key = await readVerifier(vkey);
    if (!signsForLog(key)) continue;
    const { state, words } = await findSignature(splitNote(checkpoint), key);
    if (state === "good") return `${algorithmOf(key)}, key ${key.name}.`;
    if (state === "uncheckable") blind = words;
  }
  must(blind !== "", "the checkpoint is not signed by the ledger's key");
  return ["unknown", `This browser cannot check ${blind}.`];
}

/** @returns {Promise<boolean>} true if this browser has the parts that the checks need */
export async function canCheck() {
  if (!globalThis.crypto?.subtle) return false;
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "Ed25519" }, false, ["verify"]);
    return true;
  } catch (error) {
    return error instanceof DOMException && error.name === "DataError";
  }
}
