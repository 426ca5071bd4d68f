// Passkeys: WebAuthn's JSON forms turned into what the browser takes, and its answers back into JSON.

import { fromBase64, toBase64 } from "../bytes.js";

/** @param {string} text base64url */
const toBytes = (text) => fromBase64(text.replaceAll("-", "+").replaceAll("_", "/").padEnd(Math.ceil(text.length / 4) * 4, "="));

/** @param {ArrayBuffer | null} bytes @returns {string | null} base64url */
const toText = (bytes) => (bytes ? toBase64(new Uint8Array(bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") : null);

/** A passkey belongs to a domain name on a secure origin, never to a bare address. */
export const passkeysWorkHere = () => Boolean(globalThis.PublicKeyCredential) && globalThis.isSecureContext && !/^[\d.]+$|^\[/.test(location.hostname);

/** The same page by name, where a passkey can work; empty if this cell has no other name. */
export const byName = () => (/^127\.|^\[::1\]$/.test(location.hostname) ? location.href.replace(location.hostname, "localhost") : "");

/**
 * @param {Record<string, any>} options PublicKeyCredentialCreationOptionsJSON
 * @returns {Promise<Record<string, any>>} RegistrationResponseJSON
 */
export async function makePasskey(options) {
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.create({ publicKey: /** @type {any} */ ({
    ...options,
    challenge: toBytes(options.challenge),
    user: { ...options.user, id: toBytes(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map((/** @type {any} */ each) => ({ ...each, id: toBytes(each.id) })),
  }) }));
  const response = /** @type {AuthenticatorAttestationResponse} */ (made.response);
  return {
    id: made.id, rawId: toText(made.rawId), type: made.type, clientExtensionResults: {},
    response: { clientDataJSON: toText(response.clientDataJSON), attestationObject: toText(response.attestationObject) },
  };
}

/**
 * @param {Record<string, any>} options PublicKeyCredentialRequestOptionsJSON
 * @returns {Promise<Record<string, any>>} AuthenticationResponseJSON
 */
export async function usePasskey(options) {
  const used = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey: /** @type {any} */ ({
    ...options,
    challenge: toBytes(options.challenge),
    allowCredentials: (options.allowCredentials ?? []).map((/** @type {any} */ each) => ({ ...each, id: toBytes(each.id) })),
  }) }));
  const response = /** @type {AuthenticatorAssertionResponse} */ (used.response);
  return {
    id: used.id, rawId: toText(used.rawId), type: used.type, clientExtensionResults: {},
    response: {
      clientDataJSON: toText(response.clientDataJSON), authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature), userHandle: toText(response.userHandle),
    },
  };
}
