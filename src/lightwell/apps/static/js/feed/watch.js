// Measures how long a clip was truly watched: playing, on the page, in sight.

import { note } from "./log.js";

/** Below this, and below a quarter of the clip, leaving is a skip. */
const SKIP_MS = 2000;

export class Watch {
  /** @param {string} videoId @param {number} durationMs */
  constructor(videoId, durationMs) {
    this.videoId = videoId;
    this.durationMs = durationMs;
    this.watchedMs = 0;
    this.reported = false;
    /** @type {number | null} */
    this.since = null;
  }

  /** @param {boolean} playing true while frames move before the person */
  turn(playing) {
    const now = performance.now();
    if (this.since !== null) this.watchedMs += now - this.since;
    this.since = playing ? now : null;
  }

  /** Note what was watched since the last report. @param {boolean} [skips] false when the page is left, not the clip */
  report(skips = true) {
    this.turn(false);
    const watched = this.watchedMs;
    this.watchedMs = 0;
    if (watched < 250) return;
    const skipped = skips && !this.reported && watched < SKIP_MS && watched < this.durationMs / 4;
    this.reported = true;
    note(skipped ? "skip" : "watch", this.videoId, watched);
  }
}
