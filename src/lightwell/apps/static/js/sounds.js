// The sounds library: fetch it once, hear one at a time.

import { get } from "./api.js";
import { el, icon, turnIcon } from "./dom.js";
import { clock } from "./format.js";

/** @typedef {{sound_id: string, title: string, artist: string, duration_ms: number, bpm: number, style?: string, url: string}} Sound */

/** @returns {Promise<Sound[]>} */
export const fetchSounds = async () => (await get("/api/sounds")).sounds;

/** One audio element for the page; starting one sound stops the other. */
export class Hearing {
  constructor() {
    this.audio = new Audio();
    this.audio.preload = "none";
    /** @type {HTMLElement | null} */
    this.row = null;
    this.audio.addEventListener("ended", () => this.stop());
    this.audio.addEventListener("timeupdate", () => {
      const part = this.audio.duration ? this.audio.currentTime / this.audio.duration : 0;
      this.row?.style.setProperty("--heard", String(part));
    });
  }

  /** @param {Sound} sound @param {HTMLElement} row */
  turn(sound, row) {
    const same = this.row === row;
    this.stop();
    if (same) return;
    this.row = row;
    row.classList.add("is-playing");
    this.#button(row, true);
    this.audio.src = sound.url;
    void this.audio.play().catch(() => this.stop());
  }

  stop() {
    this.audio.pause();
    if (!this.row) return;
    this.row.classList.remove("is-playing");
    this.row.style.setProperty("--heard", "0");
    this.#button(this.row, false);
    this.row = null;
  }

  /** @param {HTMLElement} row @param {boolean} plays */
  #button(row, plays) {
    const button = /** @type {HTMLElement} */ (row.querySelector(".sound-play"));
    turnIcon(/** @type {SVGElement} */ (button.querySelector("svg")), plays ? "pause" : "play");
    button.setAttribute("aria-pressed", String(plays));
  }
}

/** @param {string} text @returns {number} a hue for the sound's cover */
function hue(text) {
  let value = 7;
  for (const char of text) value = (value * 31 + char.charCodeAt(0)) % 360;
  return value;
}

/**
 * A row of the library.
 * @param {Sound} sound
 * @param {Hearing} hearing
 * @param {Node} action what to do with it
 */
export function soundRow(sound, hearing, action) {
  const play = el("button", { class: "sound-play", type: "button", "aria-label": `Hear ${sound.title}`, "aria-pressed": "false", onclick: () => hearing.turn(sound, row) }, icon("play"));
  play.style.setProperty("--hue", String(hue(sound.title)));
  const about = [sound.artist, clock(sound.duration_ms), sound.bpm ? `${sound.bpm} bpm` : ""].filter(Boolean).join(" · ");
  const row = el("li", { class: "sound", data: { sound: sound.sound_id } }, play,
    el("div", { class: "sound-about" }, el("b", {}, sound.title), el("span", {}, about)), action);
  return row;
}
