// One entry of this cell's ledger, by its number: its bytes, and the proof that it is in, checked in this browser.

import { toHex, utf8 } from "../bytes.js";
import { el, fill, find, here, notice } from "../dom.js";
import { leafHash } from "../merkle.js";
import { Unreached, fetchCheckpoint, fetchEntry, fetchPlace } from "../tiles.js";
import { askKeys } from "../trust.js";
import { canCheck, checkInclusion } from "../verify.js";
import { source, stepRow } from "./parts.js";

/** @typedef {import("../verify.js").Step} Step */

/**
 * @param {number} index
 * @returns {Promise<{text: string, leaf: string, size: number, steps: Step[]} | null>} null: the ledger has no such entry yet
 */
async function openEntry(index) {
  const { size } = await fetchCheckpoint();
  if (index >= size) return null;
  const text = await fetchEntry(index, size);
  const leaf = toHex(await leafHash(utf8(text)));
  const [keys, answer] = await Promise.all([askKeys(), fetchPlace(leaf)]);
  /** @type {Step} */
  const place = { id: "place", title: "It stands where it was said to stand", state: "failed", detail: "the ledger says of it that it is elsewhere, or nowhere" };
  if (!answer || answer.index !== index) return { text, leaf, size, steps: [place] };
  const { steps } = await checkInclusion(leaf, answer, keys?.ledger ?? [], keys?.witnesses ?? []);
  return { text, leaf, size: answer.size, steps: [{ ...place, state: "held", detail: `Number ${index.toLocaleString("en")}, its leaf worked out from its bytes.` }, ...steps] };
}

/** @param {Step[]} steps @returns {HTMLElement} the sum of them */
function summary(steps) {
  const failed = steps.filter(({ state }) => state === "failed").length;
  const open = steps.filter(({ state }) => state === "unknown").length;
  if (failed) return notice("breach", `${failed} of ${steps.length} steps did not hold.`);
  if (open) return notice("unknown", `${steps.length - open} of ${steps.length} steps held; ${open} not known.`);
  return notice("proof", `All ${steps.length} steps held.`, "Checked by this browser, just now.");
}

/**
 * Show an entry, and again while a witness has not signed.
 * @param {HTMLElement} page
 * @param {number} index
 */
export async function showEntry(page, index) {
  find("#proof-title").textContent = `Entry ${index.toLocaleString("en")}`;
  if (!(await canCheck())) {
    fill(page, notice("unknown", "This browser cannot check.", "It lacks Ed25519 or a secure origin."));
    return;
  }
  for (let attempt = 0; attempt < 6; attempt++) {
    let opened;
    try {
      opened = await openEntry(index);
    } catch (error) {
      if (!(error instanceof Unreached)) throw error;
      fill(page, notice("unknown", "Could not be checked now.", error.message));
      return;
    }
    if (!opened) {
      fill(page, notice("unknown", "There is no such entry yet.", `The ${here.cell} ledger has fewer.`));
    } else {
      const { text, leaf, size, steps } = opened;
      const said = /** @type {string} */ (JSON.parse(text).kind);
      find("#proof-lead").textContent = `${said}: what the ${here.cell} ledger says in public. It names no person. Your browser does this arithmetic itself.`;
      const bytes = source(`Entry ${index.toLocaleString("en")} of ${size.toLocaleString("en")} in the ${here.cell} ledger: all that the public sees`, text);
      bytes.setAttribute("open", "");
      fill(page, el("div", { class: "stack" }, summary(steps), el("ol", { class: "steps-list" }, ...steps.map(stepRow)),
        el("section", { class: "stack is-tight" }, el("h2", {}, "The bytes"), bytes, el("p", { class: "small quiet" }, "Leaf ", el("code", {}, leaf))),
        here.oversight ? el("p", {}, el("a", { class: "button is-low", href: `${here.oversight}/entries/${here.cell}/${index}` }, "What the monitor says of it")) : null));
      if (steps.every(({ id, state, detail }) => state !== "unknown" || id !== "witnesses" || detail.includes("cannot check"))) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}
