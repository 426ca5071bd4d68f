// The receipts that this browser keeps: how each stands, those that do not hold first, and what the ledger as a whole did.

import { brief } from "../bytes.js";
import { el, fill, find, icon, notice, say } from "../dom.js";
import { moment } from "../format.js";
import { acceptKeys } from "../ledgers.js";
import { acceptPromises, forgetAll, isLoud, quieten, standing } from "../receipts.js";
import { recheck, standingNow } from "../recheck.js";
import { lasts } from "../store.js";
import { askKeys } from "../trust.js";
import { chip, failureList } from "./parts.js";

/** @typedef {import("../recheck.js").Report} Report */
/** @typedef {import("../receipts.js").Receipt} Receipt */
/** @typedef {import("../ledgers.js").Ledger} Ledger */

const TABS = /** @type {Record<string, string>} */ ({ for_you: "For you", following: "Following", newest: "Newest" });

/** @param {number} number @param {string} one @param {string} many */
const counted = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** @param {Report} report @param {boolean} busy @returns {HTMLElement} how all of it stands */
function summary({ receipts, ledgers, problem }, busy) {
  const standings = receipts.map((receipt) => standing(receipt, ledgers.get(receipt.origin)).state);
  const failed = standings.filter((state) => state === "failed").length;
  const waiting = standings.filter((state) => state === "promised").length;
  const sizes = [...ledgers.values()].map(({ newest }) => newest?.size ?? 0);
  const against = `Against the newest checkpoint, of ${counted(Math.max(0, ...sizes), "entry", "entries")}.`;
  const last = Math.max(0, ...[...ledgers.values()].map(({ checkedAt }) => checkedAt));
  if (failed) return notice("breach", `${counted(failed, "receipt does", "receipts do")} not hold.`, "What once did not hold stays here, whatever holds later.");
  if (busy) return notice("", "Checking.", `${counted(receipts.length, "receipt", "receipts")} against the ledger as it is now.`);
  if (problem) return notice("unknown", "Could not be checked now.", problem, last ? ` All held when last checked, ${moment(last)}.` : "");
  if (waiting) return notice("unknown", `${counted(receipts.length - waiting, "receipt holds", "receipts hold")}; ${waiting.toLocaleString("en")} promised.`, "The ledger takes a promise in within seconds.");
  return notice("proof", receipts.length === 1 ? "The receipt holds." : `All ${receipts.length.toLocaleString("en")} receipts hold.`, against);
}

/** @param {Ledger} ledger @param {() => void} again */
function ledgerCard({ origin, failures }, again) {
  if (!failures.length) return null;
  const live = failures.filter(({ accepted }) => !accepted);
  const keys = live.some(({ kind }) => kind === "keys");
  const accept = async () => {
    if (!confirm("Take the roster's keys as right from now on? Do so only if somebody you trust told you that they changed.")) return;
    const now = await askKeys();
    if (now) {
      await acceptKeys(origin, now);
      await acceptPromises(now.ledger);
    } else say("The roster is not at hand. Try again later.");
    again();
  };
  return el("section", { class: `ledger-card ${live.length ? "is-breach" : ""}` },
    el("h2", {}, icon(live.length ? "cross" : "clock"), live.length ? `The ledger ${origin} does not hold` : `What the ledger ${origin} did before`),
    failureList(failures),
    keys ? el("button", { class: "button is-low is-breach", type: "button", id: "accept-keys", onclick: accept }, icon("key", "is-small"), "Take the new keys as right") : null);
}

/** @param {Receipt} receipt @param {Ledger | undefined} ledger */
function row(receipt, ledger) {
  const how = standing(receipt, ledger);
  const [first] = receipt.slate ?? [];
  const image = first ? el("img", { src: `/media/videos/${first.video}/poster.jpg`, alt: "", loading: "lazy" }) : null;
  image?.addEventListener("error", () => image.remove());
  return el("li", { class: how.state === "failed" ? "is-failed" : "" }, el("a", { href: `/proof?leaf=${receipt.leaf}` },
    el("span", { class: "thumb" }, icon("proof"), image),
    el("span", { class: "grow" }, el("span", { class: "receipt-head" }, el("b", {}, `Slate ${brief(receipt.leaf)}`), chip(how)),
      el("span", { class: "small quiet" }, `${TABS[receipt.tab] ?? receipt.tab} · ${counted(receipt.videos, "video", "videos")} · ${moment(receipt.at)}`),
      ...how.failures.map(({ words }) => el("span", { class: "reason" }, words))), icon("next")));
}

/**
 * Show the list, first as it was last found, then as the ledger is now.
 * @param {HTMLElement} page
 */
export async function showList(page) {
  find("#proof-title").textContent = "Receipts";
  let lasting = await lasts();
  const again = () => void check();
  /** @param {Report} report @param {boolean} busy */
  const draw = (report, busy) => {
    const { receipts, ledgers } = report;
    const gone = lasting ? null : notice("unknown", "Nothing lasts here.", "This browser does not let the page keep anything: receipts are gone when it closes. Save those you want to keep.");
    const cards = [...ledgers.values()].map((ledger) => ledgerCard(ledger, again));
    if (!receipts.length) {
      fill(page, el("div", { class: "stack" }, gone, ...cards, el("div", { class: "card stack" }, el("p", {}, "The receipts of the slates you watch will be here, newest first. They are kept in this browser."), el("a", { class: "button is-first", href: "/" }, "Open the feed"))));
      return;
    }
    const loud = [...receipts, ...ledgers.values()].some(({ failures }) => failures.some(isLoud));
    const broken = (/** @type {Receipt} */ receipt) => (standing(receipt, ledgers.get(receipt.origin)).state === "failed" ? 0 : 1);
    const sorted = [...receipts].sort((a, b) => broken(a) - broken(b) || b.at - a.at);
    fill(page, el("div", { class: "stack" }, gone, el("div", { id: "sum", data: { busy: String(busy) } }, summary(report, busy)),
      el("div", { class: "row is-wrap" },
        el("button", { class: "button is-low", type: "button", id: "again", disabled: busy, onclick: again }, busy ? "Checking" : "Check now"),
        loud ? el("button", { class: "button is-low is-plain", type: "button", id: "hush", onclick: async () => { await quieten(); draw(await standingNow(report.problem), false); } }, "Take the notice off the feed") : null),
      ...cards,
      el("ul", { class: "receipts" }, ...sorted.map((receipt) => row(receipt, ledgers.get(receipt.origin)))),
      el("footer", { class: "row is-wrap small quiet" }, el("span", { class: "grow" }, "Kept in this browser and nowhere else, the newest 500."),
        el("button", { class: "button is-low is-plain", type: "button", id: "forget", onclick: async () => {
          if (!confirm("Forget all receipts in this browser, and the ledger's keys and checkpoint that it saw? This cannot be undone.")) return;
          await forgetAll();
          again();
        } }, icon("trash", "is-small"), "Forget all"))));
  };
  const check = async () => {
    draw(await standingNow(), true);
    const report = await recheck();
    lasting = await lasts();
    draw(report, false);
  };
  await check();
}
