// Staff sign-in: by passkey, or by a key that signs the cell's challenge here and is forgotten.

import { post } from "../api.js";
import { toHex, utf8 } from "../bytes.js";
import { el, fill, find, notice } from "../dom.js";
import { readKey } from "./key.js";
import { byName, passkeysWorkHere, usePasskey } from "./passkey.js";

const field = /** @type {HTMLTextAreaElement} */ (find("#key"));
const trouble = find("#trouble");
const button = /** @type {HTMLButtonElement} */ (find("#enter"));

/** @param {string} text */
async function signIn(text) {
  button.disabled = true;
  fill(trouble);
  try {
    const key = await readKey(text);
    const { challenge } = await post("/api/staff/challenge", { vkey: key.vkey });
    const signature = toHex(await key.sign(utf8(`lightwell/sign-in/v1\n${challenge}`)));
    await post("/api/staff/session", { vkey: key.vkey, challenge, signature });
    field.value = "";
    location.assign("/staff");
  } catch (error) {
    fill(trouble, notice("breach", "Not signed in.", error instanceof Error ? error.message : String(error)));
    button.disabled = false;
  }
}

find("#form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  void signIn(field.value);
});

const passkey = /** @type {HTMLButtonElement} */ (find("#passkey"));
passkey.addEventListener("click", async () => {
  fill(trouble);
  try {
    const used = await usePasskey(await post("/api/staff/passkey-session/options"));
    await post("/api/staff/passkey-session", { credential: used });
    location.assign("/staff");
  } catch (error) {
    fill(trouble, notice("breach", "Not signed in.", error instanceof Error ? error.message : String(error)));
  }
});
if (!passkeysWorkHere()) {
  passkey.disabled = true;
  const words = find("#no-passkey");
  words.hidden = false;
  const other = byName();
  if (other) fill(words, "Passkeys belong to a name, not to an address: ", el("a", { href: other }, "open this page as localhost"), ".");
  else words.textContent = "This browser has no passkeys here; they need https.";
}

/** A key in the fragment is never sent to a server; it is taken out of the address at once. */
function fromAddress() {
  const given = /^#key=(.+)$/.exec(location.hash)?.[1];
  if (!given) return;
  history.replaceState(null, "", location.pathname);
  let text = given;
  try {
    text = decodeURIComponent(given);
  } catch {
    // It was not encoded.
  }
  field.value = text;
  void signIn(text);
}

addEventListener("hashchange", fromAddress);
fromAddress();
