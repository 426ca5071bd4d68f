// The parts that the list of receipts and the page of one receipt share.

import { el, icon } from "../dom.js";
import { moment } from "../format.js";

/** @typedef {import("../ledgers.js").Failure} Failure */
/** @typedef {import("../receipts.js").Standing} Standing */

/** @param {Standing} standing @returns {HTMLElement} its state as a chip: a sign and words, never colour alone */
export function chip({ state, words }) {
  const [sign, kind] = { promised: ["clock", ""], in: ["check", "is-proof"], cosigned: ["check", "is-proof"], failed: ["cross", "is-breach"] }[state];
  return el("span", { class: `tag ${kind}`, data: { standing: state } }, icon(sign), words);
}

/** @param {number} first @param {number} last @returns {string} when something was seen */
export const seenAt = (first, last) => (moment(first) === moment(last) ? `Seen ${moment(first)}.` : `First seen ${moment(first)}, last ${moment(last)}.`);

/**
 * What did not hold, each with when, and with the signed notes that show it.
 * @param {Failure[]} failures
 * @returns {HTMLElement}
 */
export function failureList(failures) {
  return el("ul", { class: "failures" }, ...failures.map(({ kind, words, first, last, evidence, accepted }) => el("li", { data: { kind } },
    el("p", {}, el("b", {}, words)),
    el("p", { class: "small" }, seenAt(first, last), accepted ? ` You took the new keys as right ${moment(accepted)}.` : ""),
    evidence.length ? el("details", { class: "evidence" }, el("summary", {}, "What shows it"), ...evidence.map((text) => el("pre", {}, el("code", {}, text)))) : null)));
}
