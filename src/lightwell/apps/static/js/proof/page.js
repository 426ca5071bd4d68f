// The proof page: one receipt opened step by step, or the list of receipts that this browser keeps.

import { brief } from "../bytes.js";
import { el, fill, find, here, icon, notice } from "../dom.js";
import { moment, sentence } from "../format.js";
import { receipts } from "../receipts.js";
import { openReceipt } from "./open.js";

const place = find("#proof");
const leaf = new URLSearchParams(location.search).get("leaf");
const TABS = /** @type {Record<string, string>} */ ({ for_you: "For you", following: "Following", newest: "Newest" });

/** @param {import("../verify.js").Step} step */
function stepRow({ title, state, detail }) {
  const [sign, words] = { held: ["check", "held"], failed: ["cross", "did not hold"], unknown: ["unknown", "not known"] }[state];
  return el("li", { class: `step is-${state}` }, el("span", { class: "step-sign" }, icon(sign)),
    el("div", {}, el("h3", {}, title, el("span", { class: "unseen" }, `: ${words}`)), el("p", {}, sentence(detail))));
}

/** @param {string} title @param {string} text canonical JSON */
function source(title, text) {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Shown as it is.
  }
  return el("details", { class: "source" }, el("summary", {}, title), el("pre", {}, el("code", {}, shown)));
}

/** @param {string} asked */
async function showReceipt(asked) {
  find("#proof-title").textContent = `Slate ${brief(asked)}`;
  for (let attempt = 0; attempt < 6; attempt++) {
    const opened = await openReceipt(asked);
    const { steps, record, entry, index, size } = opened;
    const failed = steps.filter(({ state }) => state === "failed").length;
    const open = steps.filter(({ state }) => state === "unknown").length;
    const sum = failed ? notice("breach", `${failed} of ${steps.length} steps did not hold.`)
      : open ? notice("unknown", `${steps.length - open} of ${steps.length} steps held; ${open} not known.`)
        : notice("proof", `All ${steps.length} steps held.`, "Checked by this browser, just now.");
    const items = record ? JSON.parse(record.slate).items : [];
    fill(place, el("div", { class: "stack" }, sum, el("ol", { class: "steps-list" }, ...steps.map(stepRow)),
      items.length ? el("section", { class: "stack is-tight" }, el("h2", {}, "What you were shown"), el("ol", { class: "shown" }, ...items.map(slateTile))) : null,
      el("section", { class: "stack is-tight" }, el("h2", {}, "The bytes"),
        entry ? source(index === null ? "The entry" : `Entry ${index.toLocaleString("en")} of ${(size ?? 0).toLocaleString("en")} in the ${here.cell} ledger: all that the public sees`, entry) : null,
        record ? source("The slate", record.slate) : null,
        record ? source("The inputs of its ranking: sealed, only you and the clean room open them", record.inputs) : null,
        el("p", { class: "small quiet" }, "Leaf ", el("code", {}, asked)))));
    if (steps.every(({ id, state }) => !["inclusion", "witnesses"].includes(id) || state !== "unknown")) return;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    if (document.querySelector("details[open]")) return;
  }
}

/** @param {{video: string, score: number, source: string}} item @param {number} i */
function slateTile({ video, score, source: from }, i) {
  const image = el("img", { src: `/media/videos/${video}/poster.jpg`, alt: "", loading: "lazy" });
  image.addEventListener("error", () => image.remove());
  return el("li", {}, el("a", { href: `/v/${video}`, "aria-label": `Place ${i + 1}, score ${score}` }, image, el("b", {}, String(i + 1)), el("span", {}, score.toLocaleString("en").replace("-", "−")), el("i", {}, from.replaceAll("_", " "))));
}

function showList() {
  const list = receipts();
  if (!list.length) {
    fill(place, el("div", { class: "card stack" }, el("p", {}, "The receipts of the slates you watch will be here, newest first. They are kept in this browser."), el("a", { class: "button is-first", href: "/" }, "Open the feed")));
    return;
  }
  fill(place, el("ul", { class: "receipts" }, ...list.map((receipt) => el("li", {}, el("a", { href: `/proof?leaf=${receipt.leaf}` },
    icon("proof"), el("span", { class: "grow" }, el("b", {}, `Slate ${brief(receipt.leaf)}`), el("span", { class: "small quiet" }, `${TABS[receipt.tab] ?? receipt.tab} · ${receipt.videos} videos · ${moment(receipt.at)}`)), icon("next"))))));
}

try {
  if (leaf === null) showList();
  else if (/^[0-9a-f]{64}$/.test(leaf)) await showReceipt(leaf);
  else fill(place, notice("breach", "This is no receipt.", "A leaf has 64 hex characters."));
} catch (error) {
  fill(place, notice("breach", "The proof could not be fetched.", error instanceof Error ? error.message : ""));
}
