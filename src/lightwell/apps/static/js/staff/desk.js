// The staff desk: ask, see what became of it, approve others, read what was granted.

import { ApiProblem, get, post } from "../api.js";
import { el, fill, find, notice } from "../dom.js";
import { sitDown } from "./bar.js";
import { FIELD_WORDS, requestCard, waitsFor } from "./requests.js";

const list = find("#requests");
const answer = find("#ask-answer");
const form = /** @type {HTMLFormElement} */ (find("#ask"));
let shown = "";
/** Who sits here, as GET /api/staff/session says. @type {Record<string, any>} */
let who = {};
/** What is being read stays while the list is drawn anew. @type {Map<string, HTMLElement>} */
const readings = new Map();

/** @param {boolean} [force] draw even if nothing changed */
async function look(force = true) {
  try {
    const { requests } = await get("/api/access/requests");
    const now = JSON.stringify(requests);
    if (!force && now === shown) return;
    shown = now;
    showWaiting(requests);
    if (requests.length) fill(list, ...requests.map((/** @type {any} */ request) => requestCard(request, who, readings, () => void look())));
    else fill(list, el("p", { class: "card quiet" }, "Requests will be here, newest first."));
  } catch (error) {
    fill(list, notice("breach", "The requests could not be fetched.", error instanceof Error ? error.message : ""));
  }
}

/**
 * Say how many requests wait for this person's decision.
 * @param {Record<string, any>[]} requests
 */
function showWaiting(requests) {
  const number = requests.filter((request) => waitsFor(request, who)).length;
  const tag = find("#waiting");
  tag.hidden = !number;
  tag.textContent = number === 1 ? "1 waits for you" : `${number} wait for you`;
}

/** Say before somebody asks what the agreement makes of it: whose data is seen from where. */
function showStanding() {
  const note = find("#ask-note");
  note.hidden = who.may_ask;
  if (who.may_ask) return;
  const abroad = who.place !== who.region;
  fill(note, abroad
    ? notice("unknown", `From ${who.place} nobody sees a person's data.`, "A request is refused, and the refusal is in the ledger. ", el("a", { href: "/staff/counts" }, "Ask how many instead"), ".")
    : notice("unknown", `As ${who.role} you do not ask for data.`, "A request is refused, and the refusal is in the ledger. ", who.may_approve ? "What others ask is under Requests." : ""));
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
    const emergency = find("#emergency").checked;
    const { status, request_id: id } = await post(emergency ? "/api/access/emergencies" : "/api/access/requests", {
      subject: String(given.get("subject")).replace(/^@/, "").trim(),
      fields,
      purpose: given.get("purpose"),
      minutes: Number(given.get("minutes")),
      ticket: String(given.get("ticket") ?? "").trim(),
      ...(emergency ? { alone: find("#alone").checked } : {}),
    });
    fill(answer, notice(status === "granted" ? "proof" : "unknown", status === "granted" ? "Granted." : "Asked.", `Request ${id} ${status === "granted" ? "is open." : emergency ? `waits for ${who.emergency_witnesses} witnesses.` : "waits for others to approve it."}`));
  } catch (error) {
    const problem = /** @type {ApiProblem} */ (error);
    const recorded = problem.document?.request_id ? ` Request ${problem.document.request_id}, recorded in the ledger.` : "";
    fill(answer, notice("breach", problem.slug === "refused" ? "Refused." : "Not asked.", problem.message + recorded));
  }
  await look();
});

find("#again").addEventListener("click", () => void look());
/** Offer the purposes and minutes of an emergency, or the usual ones. */
function turn() {
  const emergency = find("#emergency").checked;
  const purposes = emergency ? who.emergency_purposes : who.purposes;
  fill(find("#purpose"), ...purposes.map((/** @type {string} */ purpose) => el("option", { value: purpose }, purpose.replaceAll("_", " "))));
  const minutes = /** @type {HTMLInputElement} */ (find("#minutes"));
  minutes.max = String(emergency ? who.emergency_minutes : who.max_minutes);
  minutes.value = String(Math.min(15, Number(minutes.max)));
  find("#alone-part").hidden = !emergency;
  find("#ask-button").textContent = emergency ? "Open in an emergency" : "Ask";
  find("#ask-button").classList.toggle("is-breach", emergency);
}
find("#emergency").addEventListener("change", turn);

find("#find").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  const said = find("#find-answer");
  try {
    const { handle } = await post("/api/access/search", { by: find("#by").value, sought: find("#sought").value });
    /** @type {HTMLInputElement} */ (find("#subject")).value = handle;
    fill(said, notice("proof", `@${handle}`, "It is filled in above."));
  } catch (error) {
    const problem = /** @type {ApiProblem} */ (error);
    const refused = problem.slug === "refused";
    fill(said, notice(refused ? "breach" : "unknown", refused ? "Refused." : "Not found.", refused ? `${problem.message} Request ${problem.document?.request_id}, recorded in the ledger.` : problem.message));
    if (refused) await look();
  }
});

try {
  who = await sitDown();
  fill(find("#fields"), ...who.categories.map((/** @type {string} */ category, /** @type {number} */ i) => el("label", {},
    el("input", { type: "checkbox", name: "field", value: category, checked: i === 0 }), el("span", {}, FIELD_WORDS[category] ?? category), el("code", {}, category))));
  find("#emergency-part").hidden = !who.emergency_purposes.length;
  find("#emergency-words").textContent = `For ${who.emergency_minutes} minutes, before ${who.emergency_witnesses} colleagues; others review it.`;
  turn();
  showStanding();
  // On a phone the list is below the form; for whoever decides about others it comes first.
  find("#desk").classList.toggle("is-deciding", who.may_approve);
  find("#desk").hidden = false;
  await look();
  setInterval(() => void (document.hidden || look(false)), 3000);
} catch (error) {
  if (error instanceof ApiProblem && error.status === 401) location.assign("/staff/sign-in");
  else fill(find("#desk-trouble"), notice("breach", "The desk could not be opened.", error instanceof Error ? error.message : ""));
}
