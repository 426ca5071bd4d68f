// What the gateway stopped, for those at home who may look: facts in a list, one look at a time, nothing sent on.

import { ApiProblem, get, post } from "../api.js";
import { el, fill, find, icon, notice } from "../dom.js";
import { moment, size } from "../format.js";
import { sitDown } from "./bar.js";

/** @typedef {Record<string, any>} Item as GET /api/quarantine lists it */

const FOUND = /** @type {Record<string, string>} */ ({
  "protected-value": "A protected value of somebody here",
  "too-nested": "Encoded too deeply to look into",
  "e-mail": "An e-mail address",
  "phone-number": "A phone number",
  "ip-address": "An IP address",
  location: "A place",
  "payment-number": "A payment number",
  "social-number": "A social security number",
});

/** @type {Record<string, [string, string, string]>} */
const STATE = {
  waiting: ["clock", "waits for review", "is-unknown"],
  reported: ["check", "reported", "is-proof"],
  discarded: ["cross", "discarded", ""],
  expired: ["clock", "expired", ""],
  erased: ["cross", "erased with its account", ""],
};

const list = find("#items");
/** What is being looked at stays while the list is drawn anew. @type {Map<string, HTMLElement>} */
const looks = new Map();

/**
 * What a look shows, with who looked and when written over all of it.
 * @param {{field: string, text: string, masked: boolean}[]} shown
 * @param {{who: string, at: number, grant: string, look: number}} mark
 */
function seen(shown, mark) {
  const words = `${mark.who} · ${new Date(mark.at).toISOString().slice(0, 19).replace("T", " ")} UTC · ${mark.grant}`;
  const over = el("div", { class: "watermark", "aria-hidden": "true" }, ...Array.from({ length: 24 }, () => el("span", {}, words)));
  const rows = shown.filter(({ text }) => text).map(({ field, text, masked }) => el("div", { class: masked ? "is-hit" : "" },
    el("dt", {}, field.replaceAll("_", " ")), el("dd", {}, text, masked ? el("span", { class: "unseen" }, "masked: this is what was found") : null)));
  return el("div", {}, el("div", { class: "read" }, el("dl", { class: "reading" }, ...rows), over),
    el("p", { class: "tiny quiet read-note" }, `Look ${mark.look}, by ${mark.who}; recorded in the ledger. What was found is masked.`));
}

/** @param {Item} item @returns {HTMLElement} */
function card(item) {
  const [mark, words, tone] = STATE[item.state] ?? ["clock", item.state, ""];
  const place = looks.get(item.item_id) ?? el("div", { "aria-live": "polite" });
  looks.set(item.item_id, place);
  const open = item.state === "waiting" || item.state === "reported";

  /** @param {() => Promise<void>} act */
  const attempt = async (act) => {
    try {
      await act();
    } catch (error) {
      const problem = /** @type {ApiProblem} */ (error);
      fill(place, notice("breach", problem.slug === "refused" ? "Refused." : "Not done.", problem.slug === "refused" ? `${problem.message} The refusal is in the ledger.` : problem.message));
    }
  };
  /** @param {"discard" | "report"} verb */
  const settle = (verb) => attempt(async () => {
    await post(`/api/quarantine/${item.item_id}/${verb}`);
    if (verb === "discard") looks.delete(item.item_id);
    await draw();
  });
  const looking = el("button", { class: "button is-low is-first", type: "button" }, "Look");
  looking.addEventListener("click", () => attempt(async () => {
    const { shown, watermark } = await post(`/api/quarantine/${item.item_id}/look`, { reason: find("#reason").value });
    await draw();
    fill(place, seen(shown, watermark));
  }));
  const report = el("button", { class: "button is-low", type: "button" }, "Report");
  report.addEventListener("click", () => void settle("report"));
  const discard = el("button", { class: "button is-low is-breach", type: "button" }, "Discard");
  discard.addEventListener("click", () => void settle("discard"));

  const way = item.outgoing ? `to ${item.peer}` : `from ${item.peer}`;
  const often = item.times > 1 ? `, ${item.times} times` : "";
  return el("article", { class: "card request", data: { item: item.item_id, state: item.state } },
    el("header", { class: "row is-wrap" }, el("h3", { class: "grow" }, FOUND[item.found] ?? item.found), el("span", { class: `tag ${tone}` }, icon(mark), words)),
    el("p", { class: "small quiet" }, `${item.media || "Message"} ${way} by ${item.flow}, ${size(item.size_bytes)}${often}; ${moment(item.stopped_at)}. Kept until ${moment(item.expires_at)}, ${item.looks === 1 ? "one look" : `${item.looks} looks`}.`),
    el("p", { class: "tiny quiet" }, item.transfer ? `Transfer ${item.transfer}, ` : "", `item ${item.item_id}`),
    place,
    el("footer", { class: "row is-wrap" }, ...(open ? [looking] : []), ...(item.state === "waiting" && item.looks ? [report, discard] : [])));
}

async function draw() {
  const { items, reasons } = await get("/api/quarantine");
  const chosen = /** @type {HTMLSelectElement} */ (find("#reason"));
  if (!chosen.options.length) fill(chosen, ...reasons.map((/** @type {string} */ reason) => el("option", { value: reason }, reason.replaceAll("_", " "))));
  if (items.length) fill(list, ...items.map(card));
  else fill(list, el("p", { class: "card quiet" }, "Nothing was stopped for what it holds."));
}

find("#again").addEventListener("click", () => void draw().catch((error) => fill(list, notice("breach", "The list could not be fetched.", error.message))));

try {
  await sitDown();
  await draw();
  find("#desk").hidden = false;
} catch (error) {
  const problem = /** @type {ApiProblem} */ (error);
  if (problem.status === 401) location.assign("/staff/sign-in");
  else if (problem.slug === "refused") fill(find("#desk-trouble"), notice("breach", "Refused.", `${problem.message} The refusal is in the ledger.`));
  else fill(find("#desk-trouble"), notice("breach", "The desk could not be opened.", error instanceof Error ? error.message : ""));
}
