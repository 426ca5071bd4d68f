// Turns keys, wheel and taps into what the person means.

/** @typedef {"next" | "previous" | "pause" | "mute" | "like" | "why"} Wish */

/** @type {Record<string, Wish>} */
const KEYS = { ArrowDown: "next", j: "next", PageDown: "next", ArrowUp: "previous", k: "previous", PageUp: "previous", " ": "pause", m: "mute", l: "like", w: "why" };

/** Two taps within this time are one double tap. */
const DOUBLE_MS = 260;
/** A wheel is quiet again after this time; until then its inertia moves nothing. */
const QUIET_MS = 140;

/**
 * @param {HTMLElement} scroller
 * @param {(wish: Wish, at?: {x: number, y: number}) => void} wish
 */
export function listen(scroller, wish) {
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.closest("input, textarea, select")) return;
    // Space and Enter on a focused control are that control's own.
    if (event.key === " " && target.closest("button, a")) return;
    const meant = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!meant) return;
    event.preventDefault();
    if (!event.repeat || meant === "next" || meant === "previous") wish(meant);
  });
  wheel(scroller, wish);
  taps(scroller, wish);
}

/** @param {HTMLElement} scroller @param {(wish: Wish) => void} wish */
function wheel(scroller, wish) {
  let last = 0;
  let spent = false;
  let sum = 0;
  scroller.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return;
    event.preventDefault();
    const now = performance.now();
    if (now - last > QUIET_MS) {
      spent = false;
      sum = 0;
    }
    last = now;
    sum += event.deltaMode === 0 ? event.deltaY : event.deltaY * 30;
    if (spent || Math.abs(sum) < 24) return;
    spent = true;
    wish(sum > 0 ? "next" : "previous");
  }, { passive: false });
}

/** @param {HTMLElement} scroller @param {(wish: Wish, at?: {x: number, y: number}) => void} wish */
function taps(scroller, wish) {
  let last = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let single;
  scroller.addEventListener("click", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (!target.closest("[data-tap]")) return;
    const now = performance.now();
    if (now - last < DOUBLE_MS) {
      clearTimeout(single);
      last = 0;
      wish("like", { x: event.clientX, y: event.clientY });
    } else {
      last = now;
      single = setTimeout(() => wish("pause"), DOUBLE_MS);
    }
  });
}
