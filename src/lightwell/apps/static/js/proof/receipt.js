// One receipt, opened and checked step by step; what once did not hold stands above what holds now.

import { brief } from "../bytes.js";
import { el, fill, find, here, icon, notice } from "../dom.js";
import { moment } from "../format.js";
import { standing } from "../receipts.js";
import { saveReceipt } from "../tlog-proof.js";
import { linesOf, openReceipt } from "./open.js";
import { chip, failureList, source, stepRow } from "./parts.js";

/** @typedef {import("./open.js").Opened} Opened */

/** @param {import("../verify.js").Line} line @param {number} i */
function slateTile({ video, score, source: from }, i) {
  const image = el("img", { src: `/media/videos/${video}/poster.jpg`, alt: "", loading: "lazy" });
  image.addEventListener("error", () => image.remove());
  return el("li", {}, el("a", { href: `/v/${video}`, "aria-label": `Place ${i + 1}, score ${score}` }, image, el("b", {}, String(i + 1)), el("span", {}, score.toLocaleString("en").replace("-", "−")), el("i", {}, from.replaceAll("_", " "))));
}

/** @param {Opened} opened @returns {HTMLElement} the sum of it */
function summary({ steps, receipt, ledger, problem }) {
  const wrong = receipt ? standing(receipt, ledger).failures : [];
  const failed = steps.filter(({ state }) => state === "failed").length;
  const open = steps.filter(({ state }) => state === "unknown").length;
  if (wrong.length) {
    const later = failed ? "" : " What this browser finds now does not undo it.";
    return notice("breach", "This receipt does not hold.", later, failureList(wrong));
  }
  if (failed) return notice("breach", `${failed} of ${steps.length} steps did not hold.`);
  if (problem) return notice("unknown", "Could not be checked now.", problem, receipt?.checked ? ` It was last found at its place ${moment(receipt.checked.at)}.` : "");
  if (open) return notice("unknown", `${steps.length - open} of ${steps.length} steps held; ${open} not known.`);
  return notice("proof", `All ${steps.length} steps held.`, "Checked by this browser, just now.");
}

/** @param {Opened} opened */
function keptCard({ receipt, ledger }) {
  if (!receipt) return el("p", { class: "small quiet" }, "This browser does not keep this receipt; the one that got the slate does.");
  const { checked, place, at } = receipt;
  const when = checked ? `Last found at its place ${moment(checked.at)}, among ${checked.size.toLocaleString("en")} entries.` : "Not held against the ledger yet.";
  return el("section", { class: "kept" }, el("div", {}, chip(standing(receipt, ledger)), el("p", { class: "small quiet" }, `Kept since ${moment(at)}. ${when}`)),
    el("div", { class: "row" },
      el("button", { class: "button is-low", type: "button", id: "again", onclick: () => location.reload() }, "Check again"),
      place ? el("button", { class: "button is-low is-first", type: "button", id: "save", onclick: () => saveReceipt(receipt) }, icon("down", "is-small"), "Save receipt") : null));
}

/**
 * Show a receipt, and again while the ledger has not taken it in or a witness has not signed.
 * @param {HTMLElement} page
 * @param {string} leaf
 */
export async function showReceipt(page, leaf) {
  find("#proof-title").textContent = `Slate ${brief(leaf)}`;
  for (let attempt = 0; attempt < 6; attempt++) {
    const opened = await openReceipt(leaf);
    const { steps, record, entry, index, size, receipt } = opened;
    const items = receipt?.slate ?? (record ? linesOf(record) : []);
    fill(page, el("div", { class: "stack" }, summary(opened), keptCard(opened), el("ol", { class: "steps-list" }, ...steps.map(stepRow)),
      items.length ? el("section", { class: "stack is-tight" }, el("h2", {}, "What you were shown"), el("ol", { class: "shown" }, ...items.map(slateTile))) : null,
      el("section", { class: "stack is-tight" }, el("h2", {}, "The bytes"),
        entry ? source(index === null ? "The entry" : `Entry ${index.toLocaleString("en")} of ${(size ?? 0).toLocaleString("en")} in the ${here.cell} ledger: all that the public sees`, entry) : null,
        record ? source("The slate", record.slate) : null,
        record ? source("The inputs of its ranking: sealed, only you and the clean room open them", record.inputs) : null,
        el("p", { class: "small quiet" }, "Leaf ", el("code", {}, leaf)))));
    const waits = steps.some(({ id, state, detail }) => state === "unknown" && (id === "inclusion" || (id === "witnesses" && !detail.includes("cannot check"))));
    if (!waits || opened.problem) return;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    if (document.querySelector("details[open]")) return;
  }
}
