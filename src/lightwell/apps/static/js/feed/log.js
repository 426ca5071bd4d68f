// Sends what the person did in small batches, each event once: kept until the cell has taken it.

import { ApiProblem, post } from "../api.js";

/** @typedef {"watch" | "skip" | "like" | "unlike" | "follow" | "unfollow" | "share" | "hide" | "unhide" | "block" | "unblock" | "mute" | "unmute"} Kind */
/** @typedef {{event_id: string, kind: Kind, video_id: string, watch_ms: number}} WatchEvent */

const KEY = "lightwell.unsent";
const BATCH = 50;
const WAIT_MS = 1500;
/** More than this in one event is refused by the cell. */
const MOST_MS = 600000;

/** @type {WatchEvent[]} */
let unsent = [];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {Promise<void>} */
let turn = Promise.resolve();

/** @returns {string} 32 hex characters */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {Kind} kind @param {string} videoId @param {number} [watchMs] */
export function note(kind, videoId, watchMs = 0) {
  unsent.push({ event_id: newId(), kind, video_id: videoId, watch_ms: Math.min(MOST_MS, Math.round(watchMs)) });
  keep();
  // A skip or a watch may wait; what the person sees change goes at once.
  if (kind === "watch" || kind === "skip") timer ??= setTimeout(() => void flush(), WAIT_MS);
  else void flush();
}

/** Send all that waits, one sending at a time. Resolves when the cell has it or cannot be reached. */
export function flush() {
  clearTimeout(timer);
  timer = undefined;
  turn = turn.then(send);
  return turn;
}

async function send() {
  // A batch stands or falls as one: after a refusal its events go one by one, so that one cannot take the others with it.
  let most = BATCH;
  while (unsent.length) {
    const batch = unsent.slice(0, most);
    try {
      await post("/api/events", { events: batch });
    } catch (error) {
      // A refused batch would be refused again; anything else is tried later, under the same ids.
      if (!(error instanceof ApiProblem) || error.status < 400 || error.status >= 500 || error.status === 429) {
        timer ??= setTimeout(() => void flush(), 6000);
        return;
      }
      if (batch.length > 1) {
        most = 1;
        continue;
      }
    }
    unsent = unsent.filter((event) => !batch.includes(event));
    keep();
  }
}

function keep() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(unsent));
  } catch {
    // Kept in memory only.
  }
}

/** Send what waits while the page goes away; the same ids make a second sending harmless. */
function leave() {
  if (!unsent.length) return;
  const body = new Blob([JSON.stringify({ events: unsent.slice(0, BATCH) })], { type: "application/json" });
  if (navigator.sendBeacon("/api/events", body)) {
    unsent = unsent.slice(BATCH);
    keep();
  }
}

try {
  unsent = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  if (unsent.length) timer = setTimeout(() => void flush(), WAIT_MS);
} catch {
  unsent = [];
}
addEventListener("pagehide", leave);
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
