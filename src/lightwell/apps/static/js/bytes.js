// Bytes, hex, base64 and SHA-256: the small change of every check.

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

const encoder = new TextEncoder();

/** @param {string} text @returns {Bytes} its UTF-8 bytes */
export const utf8 = (text) => encoder.encode(text);

/** @param {Bytes} bytes @returns {string} lowercase hex */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} text lowercase hex
 * @returns {Bytes}
 * @throws {TypeError} if it is not hex
 */
export function fromHex(text) {
  if (typeof text !== "string" || text.length % 2 || /[^0-9a-f]/.test(text)) throw new TypeError("not lowercase hex");
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/** @param {Bytes} bytes @returns {string} standard base64 with padding */
export function toBase64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * @param {string} text standard base64 with padding
 * @returns {Bytes}
 * @throws {TypeError} if it is not base64, or not the one way to write its bytes
 */
export function fromBase64(text) {
  let binary;
  try {
    binary = atob(text);
  } catch {
    throw new TypeError("not base64");
  }
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  if (toBase64(bytes) !== text) throw new TypeError("not canonical base64");
  return bytes;
}

/** @param {...Bytes} parts @returns {Bytes} */
export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** @param {Bytes} a @param {Bytes} b @returns {boolean} */
export function same(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** @param {Bytes} bytes @returns {Promise<Bytes>} its SHA-256, 32 bytes */
export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** @param {Bytes} key @param {Bytes} message @returns {Promise<Bytes>} HMAC-SHA256, 32 bytes */
export async function hmacSha256(key, message) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

/** @param {number} value a whole number below 2^53 @returns {Bytes} 8 bytes, big endian */
export function uint64(value) {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value));
  return new Uint8Array(view.buffer);
}

/** @param {string} hex @returns {string} a digest short enough to say: 3fa9…c41e */
export const brief = (hex) => (hex.length > 12 ? `${hex.slice(0, 4)}…${hex.slice(-4)}` : hex);
