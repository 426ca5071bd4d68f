// What the feed knows of its viewer: all of it, in words and counts, with a way to take each thing back.

import "./avatar.js";
import { call, get, post } from "./api.js";
import { el, fill, find, icon, notice, say } from "./dom.js";
import { count } from "./format.js";

/** @typedef {{kind: string, name: string, title: string, of: number, longs: number, left: number}} Taste */

const MOST_SHOWN = 60;
const LEFT = 32;
const place = find("#knows");
const button = /** @type {HTMLButtonElement} */ (find("#profiling"));

/** @returns {string} 32 hex characters */
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {number} strength 0 to 255 */
const percent = (strength) => Math.round((strength / 255) * 100);

/** @param {string} id @param {number} [strength] 0 to 255 */
function clip(id, strength) {
  const image = el("img", { src: `/media/videos/${id}/poster.jpg`, alt: "", loading: "lazy" });
  image.addEventListener("error", () => image.remove());
  const bar = el("i");
  if (strength !== undefined) bar.style.setProperty("--part", `${percent(strength)}%`);
  return el("li", {}, el("a", { class: "tile", href: `/v/${id}`, "aria-label": strength === undefined ? "Video" : `Video, watched ${percent(strength)} percent` },
    image, strength === undefined ? null : el("span", { class: "tile-strength" }, bar)));
}

/** @param {string} title @param {string} words @param {...Node} content */
const part = (title, words, ...content) => el("section", {}, el("h2", {}, title), words ? el("p", { class: "small quiet" }, words) : null, ...content);

/** @param {string} title @param {string} words @param {Node[]} clips */
const strip = (title, words, clips) => clips.length ? part(title, words, el("ul", { class: "strip", tabindex: "0", "aria-label": title }, ...clips)) : null;

/** @template T @param {T[]} list @returns {T[]} */
const newest = (list) => [...list].reverse().slice(0, MOST_SHOWN);

/** @param {Taste} taste @param {"longs" | "left"} what */
function tasteLine(taste, what) {
  const bar = el("i");
  bar.style.setProperty("--part", `${Math.round((taste[what] / taste.of) * 100)}%`);
  return el("li", { class: "taste" }, el("span", { class: "taste-name" }, taste.title),
    el("span", { class: "taste-count" }, `${taste[what]} of ${taste.of}`), el("span", { class: `taste-bar ${what === "left" ? "is-left" : ""}` }, bar));
}

/** @param {{likes: Taste[], leaves: Taste[]}} tastes */
function tastesPart({ likes, leaves }) {
  if (!likes.length && !leaves.length) return null;
  return el("div", { class: "knows-pair" },
    likes.length ? part("You stay for", "Clips you watched half of or more, of all you were shown with it.", el("ul", { class: "tastes" }, ...likes.map((taste) => tasteLine(taste, "longs")))) : null,
    leaves.length ? part("You leave", "Clips you left at once.", el("ul", { class: "tastes" }, ...leaves.map((taste) => tasteLine(taste, "left")))) : null);
}

/**
 * Report one event about a video or a creator, then show what is known now.
 * @param {string} kind @param {{video_id?: string, creator?: string}} about @param {string} words
 */
async function undo(kind, about, words) {
  try {
    await post("/api/events", { events: [{ event_id: newId(), kind, ...about }] });
    say(words);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
  await show();
}

/** @param {string} key `cell:handle` @param {string} kind @param {string} words @param {string} done */
function maker(key, kind, words, done) {
  const [cell, handle] = key.split(":");
  return el("li", {}, el("a", { href: `/@${handle}?where=${cell}` }, el("lw-avatar", { handle }), `@${handle}`),
    el("button", { class: "button is-low", type: "button", "aria-label": `${words} @${handle}`, onclick: () => void undo(kind, { creator: key }, done) }, words));
}

/** @param {string} title @param {string} note @param {string[]} keys @param {string} kind @param {string} words @param {string} done */
const makers = (title, note, keys, kind, words, done) => keys.length
  ? part(title, note, el("ul", { class: "undo" }, ...newest(keys).map((key) => maker(key, kind, words, done)))) : null;

/** @param {string} id */
function hidden(id) {
  const tile = clip(id).firstElementChild;
  return el("li", {}, el("a", { href: `/v/${id}` }, el("span", { class: "tile" }, ...(tile ? [...tile.childNodes] : [])), "A clip you hid"),
    el("button", { class: "button is-low", type: "button", onclick: () => void undo("unhide", { video_id: id }, "It may be shown again.") }, "Show again"));
}

/** @param {boolean} profiling */
function showChoice(profiling) {
  button.setAttribute("aria-checked", String(profiling));
  find("#choose-words").textContent = profiling
    ? "On. Your slates are ranked from what is on this page."
    : "Off. Your slates use nothing about you: what is rising, what is new, and chance. What you do is still kept here.";
  place.classList.toggle("is-unused", !profiling);
  button.disabled = false;
}

async function show() {
  try {
    const [state, tastes] = await Promise.all([get("/api/me/viewer"), get("/api/me/viewer/tastes")]);
    showChoice(!state.without_profiling);
    const left = state.watched.filter((/** @type {{video_id: string, strength: number}} */ one) => one.strength < LEFT && !state.hidden.includes(one.video_id));
    const stayed = state.watched.filter((/** @type {{strength: number}} */ one) => one.strength >= LEFT);
    /** @type {[string, number][]} */
    const figures = [["events", state.events], ["seen", state.seen.length], ["watched", stayed.length], ["left at once", left.length], ["liked", state.likes.length], ["followed", state.follows.length]];
    fill(place,
      state.events ? part("In numbers", "The feed keeps the newest of each. What you have seen is kept so that it does not come back soon.", el("ul", { class: "figures" }, ...figures.map(([words, value]) => el("li", {}, el("b", {}, count(value)), el("span", {}, words)))))
        : el("p", { class: "empty" }, "Nothing yet. What you watch, like and follow will be here. ", el("a", { href: "/" }, "Watch something.")),
      tastesPart(tastes),
      strip("Watched", "The bar says how much of it, newest first.", newest(stayed).map(({ video_id: id, strength }) => clip(id, strength))),
      strip("Liked", "", newest(state.likes).map((id) => clip(id))),
      strip("Left at once", "Newest first.", newest(left).map(({ video_id: id, strength }) => clip(id, strength))),
      state.hidden.length ? part("Hidden", "You asked for less like these.", el("ul", { class: "undo" }, ...newest(state.hidden).map(hidden))) : null,
      makers("Followed", "", state.follows, "unfollow", "Unfollow", "Unfollowed."),
      makers("Muted", "Not shown to you in the feed.", state.muted, "unmute", "Unmute", "Unmuted."),
      makers("Blocked", "Never shown to you.", state.blocked, "unblock", "Unblock", "Unblocked."),
      el("p", { class: "tiny quiet knows-foot" }, icon("lock", "is-small"), el("span", {}, state.adult ? "Of your birthday the feed knows that you are of age. " : "Of your birthday the feed knows that you are not of age: what is for adults is left out. ", "Each slate you were given holds the very state it was ranked from. ", el("a", { href: "/proof" }, "Your receipts"))));
  } catch (error) {
    fill(place, notice("breach", "This could not be fetched.", error instanceof Error ? error.message : ""));
  }
}

button.addEventListener("click", async () => {
  const profiling = button.getAttribute("aria-checked") !== "true";
  button.disabled = true;
  try {
    await call("PUT", "/api/me/profiling", { profiling });
    showChoice(profiling);
    say(profiling ? "Your next slate is your own again." : "Your next slate uses nothing about you.");
  } catch (error) {
    button.disabled = false;
    say(error instanceof Error ? error.message : String(error));
  }
});
await show();
