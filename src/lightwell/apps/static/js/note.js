// Signed notes of C2SP: verifier keys, signatures by Ed25519, and cosignatures by Ed25519 and ML-DSA-44.

import { concat, fromBase64, same, sha256, uint64, utf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const ED25519 = 0x01;
const COSIGNATURE = 0x04;
const MLDSA = 0x06;
/** Bytes of the public key and of the plain signature, by type. @type {Record<number, [number, number]>} */
const LENGTHS = { [ED25519]: [32, 64], [COSIGNATURE]: [32, 64], [MLDSA]: [1312, 2420] };
/** A note with more lines than this is refused, as other readers do. */
const MOST_LINES = 100;

/** @typedef {{name: string, type: number, keyId: Bytes, publicKey: Bytes, vkey: string}} Verifier */
/** @typedef {{name: string, keyId: Bytes, signature: Bytes}} Line */
/** @typedef {{text: string, signatures: Line[]}} Note */
/**
 * What a note shows of one key: it signed (`at` in seconds since the epoch, of a cosignature), its line is not there,
 * its line is no signature of this text, or this browser cannot tell (`words` say why).
 * @typedef {{state: "good" | "absent" | "bad" | "uncheckable", at: number | null, words: string}} Finding
 */

/**
 * Read a verifier key "name+hash+base64(type || public key)". A type that is not known here is read, not refused.
 * @param {string} vkey
 * @returns {Promise<Verifier>}
 * @throws {TypeError} malformed, or its hash is not that of its key
 */
export async function readVerifier(vkey) {
  const parts = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey);
  if (!parts) throw new TypeError("not a verifier key");
  const key = fromBase64(parts[3]);
  const known = LENGTHS[key[0]];
  if (key.length < 2 || (known && key.length !== 1 + known[0])) throw new TypeError("the key has not the length of its type");
  const keyId = (await sha256(concat(utf8(`${parts[1]}\n`), key))).slice(0, 4);
  const hash = Array.from(keyId, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hash !== parts[2]) throw new TypeError("the key's hash is not its own");
  return { name: parts[1], type: key[0], keyId, publicKey: key.slice(1), vkey };
}

/** @param {string} vkey @returns {string} the name it begins with */
export const nameOf = (vkey) => vkey.split("+", 1)[0];

/** @param {Verifier} verifier @returns {boolean} true if a log may sign with it: a plain cosigner does not say in whose name it does */
export const signsForLog = ({ type }) => type !== COSIGNATURE;

/** @param {Verifier} verifier @returns {string} the algorithm in words */
export const algorithmOf = ({ type }) => (type === MLDSA ? "ML-DSA-44" : "Ed25519");

/**
 * Split a signed note into its text and its signatures, none of them checked yet.
 * @param {string} note
 * @returns {Note}
 * @throws {TypeError} not a signed note
 */
export function splitNote(note) {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n")) throw new TypeError("not a signed note");
  const lines = note.slice(cut + 2, -1).split("\n");
  if (lines.length > MOST_LINES) throw new TypeError("the note has too many signatures");
  const signatures = lines.map((line) => {
    const parts = /^\u2014 (\S+) (\S+)$/.exec(line);
    const blob = parts && fromBase64(parts[2]);
    if (!parts || !blob || blob.length < 5) throw new TypeError("a signature line is malformed");
    return { name: parts[1], keyId: blob.slice(0, 4), signature: blob.slice(4) };
  });
  return { text: note.slice(0, cut + 1), signatures };
}

/** @param {string} text @returns {Bytes} its length in one byte, then the text */
function short(text) {
  const bytes = utf8(text);
  if (bytes.length < 1 || bytes.length > 255) throw new TypeError("a name has 1 to 255 bytes");
  return concat(Uint8Array.of(bytes.length), bytes);
}

/**
 * What an ML-DSA-44 cosignature of a whole checkpoint signs: the `cosigned_message` of C2SP tlog-cosignature.
 * @param {string} cosigner its key's name
 * @param {string} text of the checkpoint
 * @param {Bytes} time 8 bytes
 * @returns {Bytes}
 */
function subtreeMessage(cosigner, text, time) {
  const [origin, size, root] = text.split("\n");
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size ?? "")) throw new TypeError("not the text of a checkpoint");
  return concat(utf8("subtree/v1\n\0"), short(cosigner), time, short(origin), uint64(0), uint64(Number(size)), fromBase64(root));
}

/** @type {Map<string, Promise<boolean>>} */
const able = new Map();

/** @param {string} algorithm @returns {Promise<boolean>} true if this browser verifies it */
function isAble(algorithm) {
  let answer = able.get(algorithm);
  if (!answer) {
    answer = (async () => {
      try {
        // Every array of the right length is a key of these; whether a signature is good is another question.
        await importKey(algorithm, new Uint8Array(algorithm === "Ed25519" ? 32 : LENGTHS[MLDSA][0]));
        return true;
      } catch (error) {
        return error instanceof DOMException && error.name === "DataError";
      }
    })();
    able.set(algorithm, answer);
  }
  return answer;
}

/** @param {string} algorithm @param {Bytes} publicKey @returns {Promise<CryptoKey>} */
const importKey = (algorithm, publicKey) =>
  crypto.subtle.importKey(/** @type {any} */ (algorithm === "Ed25519" ? "raw" : "raw-public"), publicKey, { name: algorithm }, false, ["verify"]);

/**
 * What a note shows of one key. Of two lines by the same key the first counts.
 * @param {Note} note a checkpoint, if the key is a cosigner's
 * @param {Verifier} verifier
 * @returns {Promise<Finding>}
 */
export async function findSignature(note, verifier) {
  const line = note.signatures.find(({ name, keyId }) => name === verifier.name && same(keyId, verifier.keyId));
  if (!line) return { state: "absent", at: null, words: "" };
  if (!(verifier.type in LENGTHS)) return { state: "uncheckable", at: null, words: `key type 0x${verifier.type.toString(16).padStart(2, "0")}` };
  const algorithm = algorithmOf(verifier);
  if (!(await isAble(algorithm))) return { state: "uncheckable", at: null, words: algorithm };
  try {
    const at = await verifyLine(note.text, line.signature, verifier, algorithm);
    return { state: at === null ? "bad" : "good", at: verifier.type === ED25519 ? null : at, words: "" };
  } catch (error) {
    return { state: "bad", at: null, words: error instanceof Error ? error.message : "" };
  }
}

/**
 * @param {string} text
 * @param {Bytes} signature as it stands in the note
 * @param {Verifier} verifier
 * @param {string} algorithm
 * @returns {Promise<number | null>} seconds since the epoch of a cosignature, 0 of a plain signature; null if it is not good
 */
async function verifyLine(text, signature, { name, type, publicKey }, algorithm) {
  const lead = type === ED25519 ? 0 : 8;
  if (signature.length !== lead + LENGTHS[type][1]) return null;
  let seconds = 0;
  let message = utf8(text);
  if (lead) {
    const time = signature.slice(0, lead);
    const said = new DataView(time.buffer).getBigUint64(0);
    if (said > BigInt(Number.MAX_SAFE_INTEGER)) return null;
    seconds = Number(said);
    message = type === MLDSA ? subtreeMessage(name, text, time) : utf8(`cosignature/v1\ntime ${seconds}\n${text}`);
  }
  const key = await importKey(algorithm, publicKey);
  return (await crypto.subtle.verify({ name: algorithm }, key, signature.slice(lead), message)) ? seconds : null;
}

/**
 * True if the note carries a good signature by this key.
 * @param {Note} note
 * @param {Verifier} verifier
 * @returns {Promise<boolean>}
 */
export const signedBy = async (note, verifier) => (await findSignature(note, verifier)).state === "good";

/** @typedef {{name: string, vkey: string} & Finding} Witness */

/**
 * What a checkpoint shows of each witness. A key that cannot be read is no reason to stop: it is not checkable.
 * @param {Note} note
 * @param {string[]} vkeys of the witnesses
 * @returns {Promise<Witness[]>} in their order
 */
export function findWitnesses(note, vkeys) {
  return Promise.all(vkeys.map(async (vkey) => {
    const name = nameOf(vkey);
    try {
      const verifier = await readVerifier(vkey);
      if (verifier.type === ED25519) throw new TypeError("a key that does not cosign");
      return { name, vkey, ...(await findSignature(note, verifier)) };
    } catch (error) {
      return { name, vkey, state: "uncheckable", at: null, words: error instanceof Error ? error.message : "its key" };
    }
  }));
}

/**
 * A witness may hold keys of several types; it has signed if one of them has. `signed` of `names` are witnesses, `good` of
 * `keys` cosignatures, `blind` what this browser cannot check.
 * @param {Witness[]} found
 * @returns {{names: string[], signed: string[], good: number, keys: number, checked: number, blind: string[]}}
 */
export function tally(found) {
  const of = (/** @type {Finding["state"]} */ state) => found.filter((one) => one.state === state);
  const names = [...new Set(found.map(({ name }) => name))];
  const signed = names.filter((name) => of("good").some((one) => one.name === name));
  const blind = [...new Set(of("uncheckable").map(({ words }) => words))];
  return { names, signed, good: of("good").length, keys: found.length, checked: found.length - of("uncheckable").length, blind };
}
