// The feed page: brings slates, column, stage, input and sheets together.

import { ApiProblem, signInPage } from "../api.js";
import { el, find, here, icon, say, turnIcon } from "../dom.js";
import { remember, wish } from "../prefs.js";
import { watchReceipts } from "./alarm.js";
import { startAmbient } from "./ambient.js";
import { Column } from "./column.js";
import { listen } from "./input.js";
import { flush, note } from "./log.js";
import { openSettings } from "./settings.js";
import { fetchSlate } from "./slates.js";
import { Slide } from "./slide.js";
import { Stage } from "./stage.js";
import { Watch } from "./watch.js";
import { openWhy } from "./why.js";

/** @typedef {import("./slates.js").Item} Item */

/** Ask for more when so few clips are left. */
const LOW = 4;

const scroller = find("#feed");
const track = find("#track");
const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-tab]")]);
const muteButton = find("#mute");
const soundOffer = find("#sound-offer");
const state = find("#feed-state");
const pauseMark = find("#pause-mark");
const only = scroller.dataset.only ? JSON.parse(scroller.dataset.only) : null;

let tab = "";
let turn = 0;
let fetching = false;
let ended = false;
/** @type {Watch | null} */
let watch = null;

const column = new Column(scroller, track, arrive);
const stage = new Stage(track, (index) => column.slides[index]?.item, {
  onplaying: (playing) => {
    watch?.turn(playing && !document.hidden);
    pauseMark.classList.toggle("is-on", stage.paused);
  },
  onblocked: () => showMute(true),
  onbroken: (index) => {
    if (index === column.current) say("This clip could not be played.");
  },
});
const ambient = startAmbient(find("#ambient"), () => stage.video);

/** @param {number} index @param {number} before */
function arrive(index, before) {
  if (before >= 0) watch?.report();
  const { item } = column.slides[index];
  watch = here.account ? new Watch(item.video.video_id, item.video.duration_ms) : null;
  stage.show(index);
  pauseMark.classList.remove("is-on");
  ambient.show(item.video.media.poster);
  find("#up").disabled = index === 0;
  if (column.slides.length - index <= LOW) void more();
}

async function more() {
  if (fetching || ended || only) return;
  fetching = true;
  const asked = turn;
  try {
    // What was seen so far must be known before the next slate is made.
    await flush();
    const slate = await fetchSlate(tab);
    if (asked !== turn) return;
    const shown = new Set(column.slides.map(({ item }) => item.video.video_id));
    // A clip withdrawn since the ranking keeps its line in the proof and has nothing to show.
    const fresh = slate.items.filter(({ video }) => video.media && !shown.has(video.video_id));
    if (fresh.length) add(fresh);
    ended = slate.exhausted || !fresh.length;
    if (!column.slides.length) empty();
  } catch (error) {
    if (asked === turn) failed(error);
  } finally {
    fetching = false;
  }
}

/** @param {Item[]} items */
function add(items) {
  state.replaceChildren();
  state.hidden = true;
  column.append(items.map((item) => new Slide(item, act)));
}

/** @param {string} title @param {string} words @param {...Node} acts */
function tell(title, words, ...acts) {
  state.hidden = false;
  state.replaceChildren(el("h2", {}, title), el("p", {}, words), ...acts);
}

/** Nothing is left that was not shown: say so, and offer what else there is. */
function offerMore() {
  const others = [["for_you", "Open For you"], ["newest", "Open Newest"], ["following", "Open Following"]].filter(([name]) => name !== tab);
  tell("You have seen it all", "Nothing is shown twice. New videos come here as they are published; meanwhile there is more elsewhere.",
    ...others.map(([name, words]) => el("button", { class: "button", type: "button", onclick: () => open(name) }, words)),
    el("button", { class: "button", type: "button", onclick: () => open(tab) }, "Look again"),
    el("a", { class: "button is-first", href: "/create" }, "Make one"));
}

function empty() {
  if (tab === "following") tell("No one followed yet", "Follow a maker with the plus beside a video. Their newest will be here.", el("button", { class: "button is-first", type: "button", onclick: () => open("for_you") }, "Open For you"));
  else if (tab === "for_you") offerMore();
  else tell("No videos yet", "The first will be here as soon as it is published.", el("a", { class: "button is-first", href: "/create" }, "Make one"));
}

/** @param {unknown} error */
function failed(error) {
  if (error instanceof ApiProblem && error.status === 401) {
    location.assign(signInPage());
    return;
  }
  const words = error instanceof Error ? error.message : String(error);
  if (column.slides.length) say(words);
  else tell("The feed could not be fetched", words, el("button", { class: "button is-first", type: "button", onclick: () => open(tab) }, "Try again"));
}

/** @param {string} name */
function open(name) {
  turn++;
  tab = name;
  fetching = false;
  ended = false;
  watch?.report();
  watch = null;
  stage.clear();
  column.clear();
  state.hidden = true;
  for (const button of tabs) button.setAttribute("aria-current", String(button.dataset.tab === name));
  void more();
}

/** @param {import("./slide.js").Act} name @param {Item} item */
function act(name, item) {
  if (!here.account && name !== "share") {
    location.assign(signInPage());
    return;
  }
  const id = item.video.video_id;
  if (name === "like") {
    item.liked = !item.liked;
    item.video.counts.likes += item.liked ? 1 : -1;
    note(item.liked ? "like" : "unlike", id);
  } else if (name === "follow") {
    const { handle, cell } = item.video.creator;
    const follows = !item.follows;
    for (const { item: other } of column.slides) {
      if (other.video.creator.handle === handle && other.video.creator.cell === cell) other.follows = follows;
    }
    note(follows ? "follow" : "unfollow", id);
    say(follows ? `You follow @${handle}.` : `You no longer follow @${handle}.`);
  } else if (name === "share") void share(item);
  else why(item);
  for (const slide of column.slides) slide.refresh();
}

/** @param {Item} item */
async function share(item) {
  const url = `${location.origin}/v/${item.video.video_id}`;
  try {
    if (navigator.share && matchMedia("(pointer: coarse)").matches) await navigator.share({ url, title: `@${item.video.creator.handle}` });
    else {
      await navigator.clipboard.writeText(url);
      say("Link copied.");
    }
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    say(url);
  }
  if (!here.account) return;
  item.video.counts.shares += 1;
  note("share", item.video.video_id);
  for (const slide of column.slides) slide.refresh();
}

/** @param {Item} item */
function why(item) {
  const { slate } = item;
  if (!slate) return;
  const covers = matchMedia("(max-width: 899px)").matches;
  stage.hold(covers);
  openWhy({ ...item, slate }, {
    onclose: () => stage.hold(false),
    onless: () => {
      note("hide", item.video.video_id);
      say("You will see less like this.");
      column.move(1);
    },
    onshun: (kind) => {
      const { handle } = item.video.creator;
      note(kind, item.video.video_id);
      say(kind === "mute" ? `@${handle} is muted: not in your feed any more.` : `@${handle} is blocked.`);
      column.move(1);
    },
    onsettings: () => openSettings(),
  });
}

/** @param {boolean} offer true to offer sound that the browser held back */
function showMute(offer = false) {
  muteButton.setAttribute("aria-label", stage.muted ? "Sound on" : "Sound off");
  turnIcon(muteButton.querySelector("svg"), stage.muted ? "mute" : "loud");
  soundOffer.hidden = !offer;
}

function toggleMute() {
  stage.setMuted(!stage.muted);
  remember("muted", stage.muted ? "yes" : "no");
  showMute();
}

/** @param {{x: number, y: number}} at */
function burst({ x, y }) {
  const heart = el("div", { class: "burst", "aria-hidden": "true" }, icon("heart-full"));
  heart.style.left = `${x}px`;
  heart.style.top = `${y}px`;
  document.body.append(heart);
  setTimeout(() => heart.remove(), 700);
}

listen(scroller, (meant, at) => {
  if (meant === "mute") {
    toggleMute();
    return;
  }
  const slide = column.slides[column.current];
  if (!slide) return;
  if (meant === "next" || meant === "previous") {
    if (!state.hidden && meant === "previous" && column.slides.length) state.hidden = true;
    else if (!column.move(meant === "next" ? 1 : -1) && meant === "next" && ended) offerMore();
  } else if (meant === "pause") pauseMark.classList.toggle("is-on", stage.toggle());
  else if (meant === "why") why(slide.item);
  else if (at) {
    burst(at);
    if (!slide.item.liked) act("like", slide.item);
  } else act("like", slide.item);
});

function drawProgress() {
  const video = stage.video;
  const bar = column.slides[column.current]?.bar;
  if (video && bar && video.duration) bar.style.transform = `scaleX(${video.currentTime / video.duration})`;
  requestAnimationFrame(drawProgress);
}

for (const button of tabs) {
  button.addEventListener("click", () => {
    open(/** @type {string} */ (button.dataset.tab));
    // Keys mean the clips again, not the tab that was pressed.
    scroller.focus({ preventScroll: true });
  });
}
muteButton.addEventListener("click", toggleMute);
soundOffer.addEventListener("click", toggleMute);
find("#up").addEventListener("click", () => column.move(-1));
find("#down").addEventListener("click", () => column.move(1));
document.querySelector("#settings")?.addEventListener("click", () => {
  stage.hold(true);
  openSettings(() => stage.hold(false));
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) watch?.report(false);
  stage.hold(document.hidden);
});
addEventListener("pagehide", () => watch?.report(false));

void watchReceipts(find("#alarm"), ({ receipts, ledgers }) => {
  const kept = new Map(receipts.map((receipt) => [receipt.leaf, receipt]));
  for (const slate of new Set(column.slides.map(({ item }) => item.slate))) {
    const receipt = slate && kept.get(slate.leaf);
    if (receipt) slate.settle(receipt, ledgers.get(receipt.origin));
  }
});

stage.setMuted(wish("muted") === "yes");
showMute();
requestAnimationFrame(drawProgress);
if (only) {
  add([{ place: 1, score: 0, source: "", video: only, liked: false, follows: false }]);
} else {
  const asked = wish("tab");
  open(tabs.some(({ dataset }) => dataset.tab === asked) ? asked : "for_you");
}
