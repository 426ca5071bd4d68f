// One slide of the feed: poster, maker, caption, sound, the chip of its proof, and the rail of actions.

import { el, fill, here, icon, turnIcon } from "../dom.js";
import { ago, clock, count, sentence } from "../format.js";
import "../avatar.js";

/** @typedef {import("./slates.js").Item} Item */
/** @typedef {"like" | "follow" | "share" | "why"} Act */

/** @param {Item["video"]} video @returns {string} where its maker's page is */
export function makerPage(video) {
  const { handle, cell } = video.creator;
  return cell && cell !== here.cell ? `/@${handle}?where=${cell}` : `/@${handle}`;
}

/** @param {string} caption @returns {(Node | string)[]} its words, hashtags in light */
export function captionParts(caption) {
  return caption.split(/(#[\p{L}\p{N}_]+)/u).map((part) => (part.startsWith("#") ? el("span", { class: "hashtag" }, part) : part));
}

/** @param {Item["video"]} video @returns {{title: string, artist: string, id: string | null} | null} */
function soundOf(video) {
  const { sound } = video;
  if (!sound) return null;
  if (typeof sound === "string") return { title: sound, artist: "", id: null };
  return { title: sound.title, artist: sound.artist ?? "", id: sound.sound_id ?? null };
}

/** @param {Item} item @param {(act: Act) => void} act */
function rail(item, act) {
  const { video } = item;
  const own = video.creator.handle === here.account && video.creator.cell === here.cell;
  const button = (/** @type {Act} */ name, /** @type {string} */ sign, /** @type {string} */ label, /** @type {string} */ words) =>
    el("button", { class: `rail-act is-${name}`, type: "button", "aria-label": label, data: { act: name }, onclick: () => act(name) },
      icon(sign), el("span", { class: "rail-count" }, words));
  return el("div", { class: "rail" },
    el("div", { class: "rail-maker" },
      el("a", { href: makerPage(video), "aria-label": `@${video.creator.handle}` }, el("lw-avatar", { handle: video.creator.handle })),
      own ? null : el("button", { class: "follow", type: "button", data: { act: "follow" }, onclick: () => act("follow") }, icon("plus"))),
    button("like", "heart", "Like", count(video.counts.likes)),
    button("share", "share", "Share", count(video.counts.shares)),
    item.slate ? button("why", "why", "Why this video", "Why") : null);
}

/** @param {Item} item @param {(act: Act) => void} act */
function foot(item, act) {
  const { video } = item;
  const sound = soundOf(video);
  const line = sound && [icon("sound", "is-small"), el("span", {}, sound.artist ? `${sound.title} — ${sound.artist}` : sound.title)];
  const away = video.creator.cell && video.creator.cell !== here.cell;
  return el("div", { class: "foot" },
    item.slate ? el("button", { class: "chip is-checking", type: "button", onclick: () => act("why") }) : null,
    el("p", { class: "maker" },
      el("a", { href: makerPage(video) }, `@${video.creator.handle}`),
      video.published_at ? el("span", { class: "maker-when" }, ` · ${ago(video.published_at)}`) : null,
      away ? el("span", { class: "maker-when" }, ` · from ${video.creator.cell}`) : null,
      video.adult ? el("span", { class: "maker-when" }, " · ", el("abbr", { title: "For adults only" }, "18+")) : null,
      video.regions?.length ? el("span", { class: "maker-when" }, ` · only in ${video.regions.join(", ")}`) : null),
    video.caption ? el("p", { class: "caption" }, ...captionParts(video.caption)) : null,
    line ? el("p", { class: "sound-line" }, sound.id && here.account
      ? el("a", { href: `/create?sound=${sound.id}`, "aria-label": `Use the sound ${sound.title}` }, ...line) : el("span", {}, ...line),
    el("span", { class: "time" }, clock(video.duration_ms))) : null);
}

/** A slide in the column. It is empty until it comes near, and empty again when it is far. */
export class Slide {
  /** @param {Item} item @param {(act: Act, item: Item) => void} act */
  constructor(item, act) {
    this.item = item;
    this.act = act;
    this.mounted = false;
    this.element = el("section", { class: "slide", data: { video: item.video.video_id }, inert: true });
    this.bar = el("i");
    this.onSlate = () => this.#chip();
  }

  /** Fill the slide. */
  mount() {
    if (this.mounted) return;
    this.mounted = true;
    const { item } = this;
    const { video } = item;
    const wide = video.width > video.height * 0.7;
    const act = (/** @type {Act} */ name) => this.act(name, item);
    this.element.setAttribute("aria-label", `Video by @${video.creator.handle}${item.slate ? `, place ${item.place} of ${item.slate.items.length}` : ""}`);
    fill(this.element,
      wide ? el("img", { class: "poster is-blur", src: video.media.poster, alt: "" }) : null,
      el("img", { class: `poster ${wide ? "is-wide" : ""}`, src: video.media.poster, alt: "", decoding: "async" }),
      el("div", { class: "tap", data: { tap: "" } }),
      el("div", { class: "shade", "aria-hidden": "true" }),
      foot(item, act),
      rail(item, act),
      el("div", { class: "progress", "aria-hidden": "true" }, this.bar));
    item.slate?.addEventListener("change", this.onSlate);
    this.#chip();
    this.refresh();
  }

  /** Empty the slide; its place stays. */
  unmount() {
    if (!this.mounted) return;
    this.mounted = false;
    this.item.slate?.removeEventListener("change", this.onSlate);
    this.element.replaceChildren();
  }

  /** Show likes, follows and counts as they are now. */
  refresh() {
    if (!this.mounted) return;
    const { item, element } = this;
    const like = element.querySelector('[data-act="like"]');
    like.setAttribute("aria-pressed", String(item.liked));
    turnIcon(like.querySelector("svg"), item.liked ? "heart-full" : "heart");
    like.querySelector(".rail-count").textContent = count(item.video.counts.likes);
    element.querySelector('[data-act="share"] .rail-count').textContent = count(item.video.counts.shares);
    const follow = element.querySelector('[data-act="follow"]');
    if (follow) {
      follow.setAttribute("aria-label", `${item.follows ? "Unfollow" : "Follow"} @${item.video.creator.handle}`);
      follow.classList.toggle("is-on", item.follows);
      turnIcon(follow.querySelector("svg"), item.follows ? "check" : "plus");
    }
  }

  #chip() {
    const chip = this.element.querySelector(".chip");
    const { slate } = this.item;
    if (!chip || !slate) return;
    chip.className = `chip is-${slate.state}`;
    const [sign, head, rest] = /** @type {Record<string, [string, string, string]>} */ ({
      checking: ["dots", "Checking", "the receipt"],
      held: ["check", "Checked", "in your browser"],
      failed: ["cross", "Not as promised", sentence(slate.words)],
      unknown: ["unknown", "Not known", sentence(slate.words)],
    })[slate.state];
    fill(chip, icon(sign, "is-small"), el("b", {}, head), el("span", {}, rest));
  }
}
