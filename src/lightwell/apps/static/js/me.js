// One's own page: videos of every status, one's data as kept, and what the feed knows.

import "./avatar.js";
import { get, post, remove } from "./api.js";
import { el, fill, find, icon, notice, say } from "./dom.js";
import { count } from "./format.js";
import { lookCard } from "./looks.js";
import { openSettings } from "./feed/settings.js";
import { offerRights } from "./rights.js";

/** @param {HTMLElement} place @param {unknown} error */
const failed = (place, error) => fill(place, notice("breach", "This could not be fetched.", error instanceof Error ? error.message : ""));

/** @param {Record<string, any>} video */
function ownTile(video) {
  const words = /** @type {Record<string, [string, string]>} */ ({
    processing: ["Processing", ""], ready: ["Kept, not public", "is-unknown"], refused: [video.problem?.title ?? "Refused", "is-breach"],
  })[video.status];
  const poster = video.media?.poster;
  const open = video.status === "published";
  const body = [
    poster && video.status !== "refused" ? el("img", { src: poster, alt: "", loading: "lazy" }) : el("span", { class: "tile-empty" }, icon(video.status === "refused" ? "cross" : "clock")),
    open ? el("span", { class: "tile-foot" }, icon("play", "is-small"), count(video.counts.views)) : el("span", { class: `tag tile-tag ${words[1]}` }, words[0]),
  ];
  const acts = el("div", { class: "tile-acts" },
    video.status === "ready" ? el("button", { class: "button is-low is-first", type: "button", onclick: () => act(() => post(`/api/videos/${video.video_id}/publish`), "Published.") }, "Publish") : null,
    el("button", { class: "round tile-remove", type: "button", "aria-label": `Delete ${video.caption || "this video"}`, onclick: () => {
      if (confirm("Delete this video and its files?")) void act(() => remove(`/api/videos/${video.video_id}`), "Deleted.");
    } }, icon("trash", "is-small")));
  return el("li", { data: { status: video.status } },
    open ? el("a", { class: "tile", href: `/v/${video.video_id}`, "aria-label": video.caption || "Video" }, ...body) : el("div", { class: "tile" }, ...body),
    acts, video.problem ? el("p", { class: "tiny quiet tile-why" }, video.problem.detail) : null);
}

/** @param {() => Promise<any>} doing @param {string} words */
async function act(doing, words) {
  try {
    await doing();
    say(words);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
  await showVideos();
}

async function showVideos() {
  const place = find("#own-videos");
  try {
    const { videos } = await get("/api/videos?mine=1");
    if (videos.length) fill(place, ...videos.map(ownTile));
    else fill(place, el("li", { class: "empty" }, "Your videos will be here. ", el("a", { href: "/create" }, "Make the first.")));
  } catch (error) {
    failed(place, error);
  }
}

/** @type {[string, string, "public" | "protected"][]} */
const FIELDS = [
  ["handle", "Handle", "public"], ["display_name", "Name", "public"], ["email", "E-mail", "protected"], ["phone", "Phone", "protected"],
  ["birthday", "Birthday", "protected"], ["address", "Address", "protected"], ["sign_in_ip", "IP address at sign-in", "protected"], ["device", "Device", "protected"],
];

async function showData() {
  const place = find("#own-data");
  try {
    const me = await get("/api/me");
    fill(place, ...FIELDS.filter(([key]) => key in me).map(([key, words, kind]) => el("div", { class: "fact" },
      el("dt", {}, words), el("dd", {}, me[key] || el("span", { class: "quiet" }, "not given")),
      kind === "public" ? el("span", { class: "tag" }, icon("open"), "public") : el("span", { class: "tag is-proof" }, icon("lock"), `sealed in ${me.home_cell}`))));
  } catch (error) {
    failed(place, error);
  }
}

async function showLooks() {
  const place = find("#own-looks");
  try {
    const { looks } = await get("/api/me/looks");
    if (looks.length) fill(place, ...looks.reverse().map(lookCard));
    else fill(place, el("p", { class: "empty" }, "Nobody of the staff has asked."));
  } catch (error) {
    failed(place, error);
  }
}

/** @param {string} id @param {number} [strength] 0 to 255 */
function clip(id, strength) {
  const image = el("img", { src: `/media/videos/${id}/poster.jpg`, alt: "", loading: "lazy" });
  image.addEventListener("error", () => image.remove());
  const bar = el("i");
  if (strength !== undefined) bar.style.setProperty("--part", `${Math.round((strength / 255) * 100)}%`);
  return el("li", {}, el("a", { class: "tile", href: `/v/${id}`, "aria-label": strength === undefined ? "Video" : `Video, watched ${Math.round((strength / 255) * 100)} percent` },
    image, strength === undefined ? null : el("span", { class: "tile-strength" }, bar)));
}

/** @param {string} title @param {string} words @param {Node[]} clips */
const strip = (title, words, clips) => clips.length
  ? el("div", { class: "stack is-tight" }, el("h3", {}, title), el("p", { class: "small quiet" }, words), el("ul", { class: "strip", tabindex: "0" }, ...clips)) : null;

async function showViewer() {
  const place = find("#own-viewer");
  try {
    const state = await get("/api/me/viewer");
    /** @type {[string, number][]} */
    const figures = [["events", state.events], ["watched", state.watched.length], ["liked", state.likes.length], ["followed", state.follows.length], ["hidden", state.hidden.length], ["seen", state.seen.length]];
    const newest = (/** @type {any[]} */ list) => [...list].reverse().slice(0, 30);
    fill(place,
      el("ul", { class: "figures" }, ...figures.map(([words, value]) => el("li", {}, el("b", {}, count(value ?? 0)), el("span", {}, words)))),
      state.seen.length ? null : el("p", { class: "empty" }, "Nothing yet. What you watch, like and follow will be here."),
      strip("Watched", "The bar says how much of it, newest first.", newest(state.watched).map(({ video_id: id, strength }) => clip(id, strength))),
      strip("Liked", "", newest(state.likes).map((id) => clip(id))),
      strip("Hidden", "You asked for less like these.", newest(state.hidden).map((id) => clip(id))),
      state.follows.length ? el("div", { class: "stack is-tight" }, el("h3", {}, "Followed"), el("ul", { class: "names" }, ...newest(state.follows).map((key) => {
        const [cell, handle] = key.split(":");
        return el("li", {}, el("a", { href: `/@${handle}?where=${cell}` }, el("lw-avatar", { handle }), `@${handle}`));
      }))) : null);
  } catch (error) {
    failed(place, error);
  }
}

offerRights(showData);
find("#settings").addEventListener("click", () => openSettings());
await Promise.all([showVideos(), showData(), showLooks(), showViewer()]);
// The parts grow after the page has opened, so the one that was asked for is found again.
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
