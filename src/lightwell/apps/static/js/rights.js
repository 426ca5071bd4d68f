// Correct one's own details, or delete the account: both ask for the password again.

import { call, get } from "./api.js";
import { el, fill, find, notice, say } from "./dom.js";

/** @type {[string, string, string][]} name, words, type of input */
const DETAILS = [
  ["display_name", "Name", "text"], ["email", "E-mail", "email"], ["phone", "Phone", "tel"], ["birthday", "Birthday", "date"], ["address", "Address", "text"],
];

/** @param {string} name @param {string} words @param {string} type @param {string} [value] */
const field = (name, words, type, value = "") => el("div", { class: "field" },
  el("label", { for: `right-${name}` }, words),
  el("input", { id: `right-${name}`, name, type, value, autocomplete: type === "password" ? "current-password" : "off", required: name === "password" }));

/**
 * Show a form in the place for it.
 * @param {string} title @param {string} words @param {string} button @param {HTMLElement[]} fields
 * @param {(given: Record<string, string>) => Promise<void>} doing
 */
function ask(title, words, button, fields, doing) {
  const form = /** @type {HTMLFormElement} */ (find("#rights"));
  const trouble = el("div", { role: "alert" });
  fill(form, el("h3", {}, title), el("p", { class: "small quiet" }, words), ...fields, field("password", "Your password", "password"), trouble,
    el("div", { class: "row" }, el("button", { class: "button is-low is-first", type: "submit" }, button),
      el("button", { class: "button is-low is-plain", type: "button", onclick: () => { form.hidden = true; } }, "Leave it")));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const given = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
    try {
      await doing(given);
    } catch (error) {
      fill(trouble, notice("breach", "This was not done.", error instanceof Error ? error.message : ""));
    }
  };
  form.hidden = false;
  form.querySelector("input")?.focus();
}

/** @param {() => Promise<void>} changed called when details stand otherwise */
export function offerRights(changed) {
  find("#correct").addEventListener("click", async () => {
    const me = await get("/api/me");
    ask("Correct your data", "What you change is sealed anew. An empty phone or address is removed.", "Save",
      DETAILS.map(([name, words, type]) => field(name, words, type, me[name] ?? "")), async (given) => {
        await call("PATCH", "/api/me", given);
        find("#rights").hidden = true;
        say("Corrected.");
        await changed();
      });
  });
  find("#delete-account").addEventListener("click", () => {
    ask("Delete the account", "Your key is destroyed, and with it all that is sealed. Your videos are taken back. This cannot be undone.", "Delete for ever", [], async (given) => {
      const told = await call("DELETE", "/api/me", given);
      const form = /** @type {HTMLFormElement} */ (find("#rights"));
      const proof = URL.createObjectURL(new Blob([JSON.stringify(told, null, 1)], { type: "application/json" }));
      fill(form, el("h3", {}, "The account is deleted."), el("p", { class: "small quiet" }, "An entry in the ledger says that an account was erased. This file alone shows that it was yours; no copy is kept."),
        el("div", { class: "row" }, el("a", { class: "button is-low is-first", href: proof, download: "deletion.json" }, "Keep the proof"), el("a", { class: "button is-low", href: "/" }, "Leave")));
    });
  });
}
