// The staff desk: ask, see what became of it, approve others, read what was granted.

import { ApiProblem, get, post, remove } from "../api.js";
import { el, fill, find, notice } from "../dom.js";
import { FIELD_WORDS, requestCard } from "./requests.js";

const list = find("#requests");
const answer = find("#ask-answer");
const form = /** @type {HTMLFormElement} */ (find("#ask"));
let shown = "";
/** What is being read stays while the list is drawn anew. @type {Map<string, HTMLElement>} */
const readings = new Map();

/** @param {boolean} [force] draw even if nothing changed */
async function look(force = true) {
  try {
    const { requests } = await get("/api/access/requests");
    const now = JSON.stringify(requests);
    if (!force && now === shown) return;
    shown = now;
    if (requests.length) fill(list, ...requests.map((/** @type {any} */ request) => requestCard(request, !request.mine, readings, () => void look())));
    else fill(list, el("p", { class: "card quiet" }, "Requests will be here, newest first."));
  } catch (error) {
    fill(list, notice("breach", "The requests could not be fetched.", error instanceof Error ? error.message : ""));
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = new FormData(form);
  const fields = given.getAll("field").map(String);
  if (!fields.length) {
    fill(answer, notice("breach", "Name at least one field."));
    return;
  }
  try {
    const { status, request_id: id } = await post("/api/access/requests", {
      subject: String(given.get("subject")).replace(/^@/, "").trim(),
      fields,
      purpose: given.get("purpose"),
      minutes: Number(given.get("minutes")),
      ticket: String(given.get("ticket") ?? "").trim(),
    });
    fill(answer, notice(status === "granted" ? "proof" : "unknown", status === "granted" ? "Granted." : "Asked.", `Request ${id} ${status === "granted" ? "is open." : "waits for others to approve it."}`));
  } catch (error) {
    const problem = /** @type {ApiProblem} */ (error);
    const recorded = problem.document?.request_id ? ` Request ${problem.document.request_id}, recorded in the ledger.` : "";
    fill(answer, notice("breach", problem.slug === "refused" ? "Refused." : "Not asked.", problem.message + recorded));
  }
  await look();
});

find("#again").addEventListener("click", () => void look());
const signOut = /** @type {HTMLButtonElement} */ (find("#staff-sign-out"));
signOut.addEventListener("click", async () => {
  await remove("/api/staff/session").catch(() => undefined);
  location.assign("/staff/sign-in");
});

try {
  const who = await get("/api/staff/session");
  find("#who").textContent = `${who.name} · ${who.role} · ${who.place}${who.vetted ? "" : " · not vetted"}`;
  signOut.hidden = false;
  fill(find("#fields"), ...who.categories.map((/** @type {string} */ category, /** @type {number} */ i) => el("label", {},
    el("input", { type: "checkbox", name: "field", value: category, checked: i === 0 }), el("span", {}, FIELD_WORDS[category] ?? category), el("code", {}, category))));
  fill(find("#purpose"), ...who.purposes.map((/** @type {string} */ purpose) => el("option", { value: purpose }, purpose.replaceAll("_", " "))));
  const minutes = /** @type {HTMLInputElement} */ (find("#minutes"));
  minutes.max = String(who.max_minutes);
  minutes.value = String(Math.min(15, who.max_minutes));
  find("#desk").hidden = false;
  await look();
  setInterval(() => void (document.hidden || look(false)), 3000);
} catch (error) {
  if (error instanceof ApiProblem && error.status === 401) location.assign("/staff/sign-in");
  else fill(find("#desk-trouble"), notice("breach", "The desk could not be opened.", error instanceof Error ? error.message : ""));
}
