// The parts that the list of receipts and the pages of one receipt and of one entry share.

import { el, icon } from "../dom.js";
import { moment, sentence } from "../format.js";

/** @typedef {import("../ledgers.js").Failure} Failure */
/** @typedef {import("../receipts.js").Standing} Standing */
/** @typedef {import("../verify.js").Step} Step */

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

/** @param {Step} step @returns {HTMLElement} */
export function stepRow({ id, title, state, detail }) {
  const [sign, words] = { held: ["check", "held"], failed: ["cross", "did not hold"], unknown: ["unknown", "not known"] }[state];
  return el("li", { class: `step is-${state}`, data: { step: id } }, el("span", { class: "step-sign" }, icon(sign)),
    el("div", {}, el("h3", {}, title, el("span", { class: "unseen" }, `: ${words}`)), el("p", {}, sentence(detail))));
}

/** @param {string} title @param {string} text canonical JSON @returns {HTMLElement} */
export function source(title, text) {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Shown as it is.
  }
  return el("details", { class: "source" }, el("summary", {}, title), el("pre", {}, el("code", {}, shown)));
}
