// Checks kept receipts again while the feed is idle, and says on the feed when one does not hold.

import { el, fill, icon } from "../dom.js";
import { isLoud } from "../receipts.js";
import { recheck, standingNow } from "../recheck.js";

/** @typedef {import("../recheck.js").Report} Report */

/** The first clip starts before anything is checked again. */
const FIRST_MS = 4000;
const EVERY_MS = 60000;

/**
 * @param {HTMLElement} place a link that is hidden while all holds
 * @param {Report} report
 */
function draw(place, { receipts, ledgers }) {
  const wrong = [...ledgers.values()].flatMap(({ failures }) => failures).filter(isLoud);
  const broken = receipts.filter(({ failures }) => failures.some(isLoud));
  place.hidden = !wrong.length && !broken.length;
  if (place.hidden) return;
  const [one, ...others] = broken;
  const alone = !wrong.length && !others.length;
  place.setAttribute("href", alone ? `/proof?leaf=${one.leaf}` : "/proof");
  const title = wrong.length ? "The ledger does not hold." : alone ? "A receipt does not hold." : `${broken.length} receipts do not hold.`;
  const words = (wrong.at(-1) ?? one.failures.filter(isLoud).at(-1))?.words ?? "";
  fill(place, icon("cross"), el("span", { class: "alarm-words" }, el("b", {}, title), " ", words), icon("next"));
}

/**
 * Begin to check, now and then, for as long as the page is open.
 * @param {HTMLElement} place where to say what does not hold
 * @param {(report: Report) => void} tell after every check
 */
export async function watchReceipts(place, tell) {
  const look = async (/** @type {Report} */ report) => {
    draw(place, report);
    tell(report);
  };
  await look(await standingNow());
  for (let wait = FIRST_MS; ; wait = EVERY_MS) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (!document.hidden) await look(await recheck({ gently: true }));
  }
}
