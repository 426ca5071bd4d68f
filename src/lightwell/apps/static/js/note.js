// Signed notes of C2SP: verifier keys, signatures by Ed25519, and cosignatures by witnesses.

import { concat, fromBase64, same, sha256, uint64, utf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const ED25519 = 0x01;
const COSIGNATURE = 0x04;

/** @typedef {{name: string, type: number, keyId: Bytes, publicKey: Bytes, vkey: string}} Verifier */
/** @typedef {{name: string, keyId: Bytes, signature: Bytes}} Signature */
/** @typedef {{text: string, signatures: Signature[]}} Note */

/**
 * Read a verifier key "name+hash+base64(type || public key)".
 * @param {string} vkey
 * @returns {Promise<Verifier>}
 * @throws {TypeError} malformed, or its hash is not that of its key
 */
export async function readVerifier(vkey) {
  const parts = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey);
  if (!parts) throw new TypeError("not a verifier key");
  const key = fromBase64(parts[3]);
  if (key.length !== 33 || ![ED25519, COSIGNATURE].includes(key[0])) throw new TypeError("not an Ed25519 key");
  const keyId = (await sha256(concat(utf8(`${parts[1]}\n`), key))).slice(0, 4);
  const hash = Array.from(keyId, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hash !== parts[2]) throw new TypeError("the key's hash is not its own");
  return { name: parts[1], type: key[0], keyId, publicKey: key.slice(1), vkey };
}

/**
 * The id under which a holder of this key cosigns checkpoints (type 0x04), whatever type the vkey has.
 * @param {Verifier} verifier
 * @returns {Promise<Bytes>} 4 bytes
 */
async function cosignerId(verifier) {
  return (await sha256(concat(utf8(`${verifier.name}\n`), Uint8Array.of(COSIGNATURE), verifier.publicKey))).slice(0, 4);
}

/**
 * Split a signed note into its text and its signatures, none of them checked yet.
 * @param {string} note
 * @returns {Note}
 * @throws {TypeError} not a signed note
 */
export function splitNote(note) {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n")) throw new TypeError("not a signed note");
  const signatures = note.slice(cut + 2, -1).split("\n").map((line) => {
    const parts = /^\u2014 (\S+) (\S+)$/.exec(line);
    const blob = parts && fromBase64(parts[2]);
    if (!parts || !blob || blob.length < 5) throw new TypeError("a signature line is malformed");
    return { name: parts[1], keyId: blob.slice(0, 4), signature: blob.slice(4) };
  });
  return { text: note.slice(0, cut + 1), signatures };
}

/** @param {Bytes} publicKey 32 bytes @param {Bytes} message @param {Bytes} signature 64 bytes */
async function ed25519(publicKey, message, signature) {
  if (signature.length !== 64) return false;
  const key = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, key, signature, message);
}

/**
 * True if the note carries a good signature by this key.
 * @param {Note} note
 * @param {Verifier} verifier
 * @returns {Promise<boolean>}
 */
export async function signedBy(note, verifier) {
  for (const line of note.signatures) {
    if (line.name !== verifier.name || !same(line.keyId, verifier.keyId)) continue;
    if (await ed25519(verifier.publicKey, utf8(note.text), line.signature)) return true;
  }
  return false;
}

/**
 * The time at which this witness cosigned the checkpoint (cosignature/v1), or null if it did not.
 * @param {Note} note a checkpoint
 * @param {Verifier} witness
 * @returns {Promise<number | null>} seconds since the epoch
 */
export async function cosignedBy(note, witness) {
  const id = await cosignerId(witness);
  for (const line of note.signatures) {
    if (line.name !== witness.name || !same(line.keyId, id) || line.signature.length !== 72) continue;
    const seconds = Number(new DataView(line.signature.buffer, line.signature.byteOffset, 8).getBigUint64(0));
    if (!same(uint64(seconds), line.signature.slice(0, 8))) continue;
    const message = utf8(`cosignature/v1\ntime ${seconds}\n${note.text}`);
    if (await ed25519(witness.publicKey, message, line.signature.slice(8))) return seconds;
  }
  return null;
}
