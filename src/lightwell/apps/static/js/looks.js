// Each time that staff asked to see something of a person: from where, why, what came of it, and its entry in the ledger.

import { el, entryLink, icon } from "./dom.js";
import { moment } from "./format.js";
import { FIELD_WORDS, STATUS } from "./staff/requests.js";

/** @param {Record<string, any>} look as GET /api/me/looks lists it @returns {HTMLElement} */
export function lookCard(look) {
  const [sign, words, kind] = STATUS[look.status] ?? ["unknown", look.status, ""];
  const often = look.uses === 0 ? "Nothing was looked at." : look.uses === 1 ? "They looked once." : `They looked ${look.uses} times.`;
  return el("article", { class: "card stack is-tight", data: { look: look.request_id, status: look.status } },
    el("header", { class: "row is-wrap" }, el("b", { class: "grow" }, `${look.role} in ${look.place}`), el("span", { class: `tag ${kind}` }, icon(sign), words)),
    el("p", {}, `Asked for ${look.fields.map((/** @type {string} */ field) => FIELD_WORDS[field] ?? field).join(", ").toLowerCase()}, for ${look.purpose.replaceAll("_", " ")}. ${often}`),
    el("p", { class: "small quiet" }, moment(look.requested_at), typeof look.entry === "number" ? " · " : null, entryLink(look.entry)));
}
