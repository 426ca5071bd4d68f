// Plays the picture with its chosen sound as it will be mixed: sound from its offset, both at their volumes.

/** @typedef {import("../sounds.js").Sound} Sound */

/** Further apart than this, the sound is put right. */
const DRIFT_SECONDS = 0.12;

export class Mix {
  /** @param {HTMLVideoElement} video @param {(playing: boolean) => void} onturn */
  constructor(video, onturn) {
    this.video = video;
    this.audio = new Audio();
    this.audio.preload = "auto";
    /** @type {Sound | null} */
    this.sound = null;
    this.offsetMs = 0;
    video.addEventListener("play", () => {
      this.#align(true);
      if (this.sound) void this.audio.play().catch(() => undefined);
      onturn(true);
    });
    video.addEventListener("pause", () => {
      this.audio.pause();
      onturn(false);
    });
    video.addEventListener("seeked", () => this.#align(true));
    video.addEventListener("timeupdate", () => this.#align(false));
  }

  /** @param {boolean} force */
  #align(force) {
    if (!this.sound) return;
    const wanted = this.offsetMs / 1000 + this.video.currentTime;
    if (wanted >= this.sound.duration_ms / 1000) {
      this.audio.pause();
      return;
    }
    if (force || Math.abs(this.audio.currentTime - wanted) > DRIFT_SECONDS) this.audio.currentTime = wanted;
    if (!this.video.paused && this.audio.paused) void this.audio.play().catch(() => undefined);
  }

  /** @param {Sound | null} sound */
  choose(sound) {
    this.sound = sound;
    this.offsetMs = 0;
    this.audio.pause();
    if (sound) this.audio.src = sound.url;
    if (!this.video.paused) this.#align(true);
  }

  /** @param {{offsetMs: number, sound: number, original: number}} values volumes 0 to 100 */
  set({ offsetMs, sound, original }) {
    const moved = offsetMs !== this.offsetMs;
    this.offsetMs = offsetMs;
    this.audio.volume = sound / 100;
    this.video.volume = original / 100;
    if (moved && !this.video.paused) this.#align(true);
  }

  turn() {
    if (this.video.paused) void this.video.play().catch(() => undefined);
    else this.video.pause();
  }

  stop() {
    this.video.pause();
    this.audio.pause();
  }
}
