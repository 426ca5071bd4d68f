// The why-sheet: the real sum of a place in the feed, what was promoted, the proof, and two things to do about it.

import { brief } from "../bytes.js";
import { el, fill, here, icon } from "../dom.js";
import { sentence, signed, timeOfDay } from "../format.js";
import { tally } from "../note.js";
import { openSheet } from "../sheet.js";

/** @typedef {import("./slates.js").Item} Item */
/** @typedef {import("./slates.js").Slate} Slate */
/** @typedef {import("./slates.js").Why} Why */

/** @param {number} score @param {import("./slates.js").Reason[]} given @returns {import("./slates.js").Reason[]} largest first, and what is left to the score if its parts do not make it */
function parts(score, given) {
  const reasons = [...given].sort((a, b) => b.points - a.points);
  const rest = score - reasons.reduce((sum, { points }) => sum + points, 0);
  return rest === 0 ? reasons : [...reasons, { text: "Not itemised", points: rest }];
}

/** @param {Item} item @param {import("./slates.js").Reason[]} given */
function sum(item, given) {
  const reasons = parts(item.score, given);
  const most = Math.max(1, ...reasons.map(({ points }) => Math.abs(points)));
  const list = el("ul", { class: "sum" }, ...reasons.map(({ text, points }) => {
    const bar = el("i", { class: points < 0 ? "is-minus" : "" });
    bar.style.setProperty("--part", `${(Math.abs(points) / most) * 82}%`);
    return el("li", {}, el("span", { class: "sum-text" }, text), el("span", { class: "sum-points" }, signed(points)),
      el("span", { class: "sum-bar", "aria-hidden": "true" }, bar));
  }));
  list.append(el("li", { class: "sum-total" }, el("span", { class: "sum-text" }, "Score"), el("span", { class: "sum-points" }, item.score.toLocaleString("en").replace("-", "−"))));
  return list;
}

/** @param {string} words */
const line = (words) => el("p", { class: "why-line" }, icon("clock"), el("span", {}, words));

/**
 * Fill in the sum of one place. It is worked out from the sealed record of the slate, when somebody asks.
 * @param {HTMLElement} place
 * @param {Item & {slate: Slate}} item
 */
async function drawSum(place, item) {
  if (!item.score) {
    fill(place, el("p", { class: "why-line" }, icon("clock"), el("span", {}, el("b", {}, "No score."), " This feed is in order of time and uses nothing about you.")), promotionLine(item.promotion));
    return;
  }
  fill(place, line("The slate is ranked again, from its record …"));
  try {
    const why = await item.slate.why();
    const found = why.items.find(({ video }) => video === item.video.video_id);
    if (!why.agrees || found?.score !== item.score) {
      fill(place, el("p", { class: "why-line is-promoted" }, icon("cross"), el("span", {}, el("b", {}, "Ranked again, the slate came out otherwise."), " Its record does not explain what was shown.")));
      return;
    }
    fill(place, sum(item, found.reasons), promotionLine(found.promotion));
  } catch (error) {
    fill(place, line(error instanceof Error ? error.message : String(error)), promotionLine(item.promotion));
  }
}

/** @param {any} promotion */
function promotionLine(promotion) {
  if (!promotion) {
    return el("p", { class: "why-line" }, icon("unpromoted"), el("span", {}, el("b", {}, "No promotion."), " Nobody raised or lowered this video by hand."));
  }
  return el("p", { class: "why-line is-promoted" }, icon("promoted"),
    el("span", {}, el("b", {}, "Promoted."), ` ${promotion.reason || "A person changed the reach of this video by hand."}`));
}

/** @param {Slate} slate @param {HTMLElement} card */
export function drawProof(slate, card) {
  const { inclusion, leaf } = slate;
  const link = el("a", { href: `/proof?leaf=${leaf}` }, "Show the proof");
  const name = el("code", {}, brief(leaf));
  const cell = el("code", {}, here.cell);
  card.className = `proof-card is-${slate.state}`;
  if (slate.state === "failed") {
    fill(card, el("h3", {}, icon("cross"), "Not as promised"), el("p", {}, `${sentence(slate.words)} Slate `, name, ". ", link));
  } else if (slate.state === "unknown") {
    fill(card, el("h3", {}, icon("unknown"), "Not known"), el("p", {}, `${sentence(slate.words)} Slate `, name, ". ", link));
  } else if (slate.state === "checking") {
    fill(card, el("h3", {}, icon("dots"), "Checking"), el("p", {}, "Slate ", name, "."));
  } else {
    const { names, signed: signedBy, blind } = tally(inclusion?.witnesses ?? []);
    const where = inclusion
      ? [" is entry ", el("code", {}, inclusion.index.toLocaleString("en")), " of the ", cell, ` ledger, signed by ${signedBy.length} of ${names.length} ${names.length === 1 ? "witness" : "witnesses"}. `,
        blind.length ? `This browser cannot check ${blind.join(", ")}. ` : ""]
      : [" is promised to the ", cell, " ledger, which takes it in within seconds. "];
    fill(card, el("h3", {}, icon("check"), `Checked in your browser, ${timeOfDay(slate.checkedAt)}`), el("p", {}, "Slate ", name, ...where, link));
  }
}

/**
 * @param {Item & {slate: Slate}} item
 * @param {{onless: () => void, onshun: (kind: "mute" | "block") => void, onsettings: () => void, onclose: () => void}} tell
 */
export function openWhy(item, tell) {
  const { slate } = item;
  const place = el("div", { class: "why-sum", "aria-live": "polite" });
  void drawSum(place, item);
  const card = el("section", { class: "proof-card", "aria-live": "polite" });
  const draw = () => drawProof(slate, card);
  draw();
  slate.addEventListener("change", draw);
  const sheet = openSheet({
    title: "Why this video",
    lead: `The real sum, from the record of this slate. Place ${item.place} of ${slate.items.length}.`,
    extra: "is-side",
    onclose: () => {
      slate.removeEventListener("change", draw);
      tell.onclose();
    },
    body: [
      place,
      card,
      el("div", { class: "why-acts" },
        el("button", { class: "button", type: "button", onclick: () => { sheet.close(); tell.onless(); } }, "Less like this"),
        el("button", { class: "button", type: "button", onclick: () => { sheet.close(); tell.onshun("mute"); } }, `Mute @${item.video.creator.handle}`),
        el("button", { class: "button", type: "button", onclick: () => { sheet.close(); tell.onshun("block"); } }, `Block @${item.video.creator.handle}`),
        el("button", { class: "button", type: "button", onclick: () => { sheet.close(); tell.onsettings(); } }, "Your feed settings")),
    ],
  });
}
