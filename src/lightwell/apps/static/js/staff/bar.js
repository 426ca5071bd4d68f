// The bar over every page of the desk: who sits there, signing out, and adding a passkey.

import { get, post, remove } from "../api.js";
import { find, say } from "../dom.js";
import { makePasskey, passkeysWorkHere } from "./passkey.js";

/**
 * Ask who is signed in, and show it.
 * @returns {Promise<Record<string, any>>} as GET /api/staff/session answers
 * @throws {import("../api.js").ApiProblem} 401 when nobody is
 */
export async function sitDown() {
  const who = await get("/api/staff/session");
  find("#who").textContent = `${who.name} · ${who.role} · ${who.place}${who.vetted ? "" : " · not vetted"}${who.line_excluded ? " · line excluded" : ""}`;
  const signOut = /** @type {HTMLButtonElement} */ (find("#staff-sign-out"));
  signOut.hidden = false;
  // Opening it is an attempt to look, and a refused one is an entry: those who may not have no link to it.
  if (who.may_review) find("#to-quarantine").hidden = false;
  signOut.addEventListener("click", async () => {
    await remove("/api/staff/session").catch(() => undefined);
    location.assign("/staff/sign-in");
  });
  const add = /** @type {HTMLButtonElement} */ (find("#add-passkey"));
  add.hidden = !passkeysWorkHere() || who.passkeys > 0;
  add.addEventListener("click", async () => {
    try {
      const made = await makePasskey(await post("/api/staff/passkeys/options"));
      await post("/api/staff/passkeys", { credential: made });
      add.hidden = true;
      say("The passkey opens this desk from now on.");
    } catch (error) {
      say(error instanceof Error ? error.message : "The passkey was not added.");
    }
  });
  return who;
}
