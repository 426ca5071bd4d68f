// A private key of C2SP's signed notes, read from its text; it signs here and never leaves.

import { concat, fromBase64, fromHex, same, sha256, toBase64, toHex, utf8 } from "../bytes.js";

/** @typedef {import("../bytes.js").Bytes} Bytes */

/** PKCS #8 of an Ed25519 seed, without the seed (RFC 8410). */
const PKCS8_HEAD = fromHex("302e020100300506032b657004220420");
const ED25519 = 0x01;

/** @typedef {{name: string, vkey: string, sign: (message: Bytes) => Promise<Bytes>}} SigningKey */

/** @param {string} text base64url @returns {Bytes} */
function fromBase64Url(text) {
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="));
}

/**
 * @param {string} text "PRIVATE+KEY+name+hash+base64"
 * @returns {Promise<SigningKey>}
 * @throws {TypeError} not such a key, or its hash is not its own
 */
export async function readKey(text) {
  const parts = /^PRIVATE\+KEY\+([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim());
  if (!parts) throw new TypeError("This is no private key of the form PRIVATE+KEY+name+hash+key.");
  const secret = fromBase64(parts[3]);
  if (secret.length !== 33 || secret[0] !== ED25519) throw new TypeError("This is no Ed25519 key.");
  if (!globalThis.crypto?.subtle) throw new TypeError("This browser signs only on a secure origin, such as https or localhost.");
  const pkcs8 = concat(PKCS8_HEAD, secret.slice(1));
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const body = concat(Uint8Array.of(ED25519), fromBase64Url(/** @type {string} */ (x)));
  const id = (await sha256(concat(utf8(`${parts[1]}\n`), body))).slice(0, 4);
  if (!same(id, fromHex(parts[2]))) throw new TypeError("The key's hash is not its own; was it copied whole?");
  return {
    name: parts[1],
    vkey: `${parts[1]}+${toHex(id)}+${toBase64(body)}`,
    sign: async (message) => new Uint8Array(await crypto.subtle.sign({ name: "Ed25519" }, key, message)),
  };
}
