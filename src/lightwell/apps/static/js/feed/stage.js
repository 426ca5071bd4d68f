// Three video elements play an endless column of clips: the last one, this one, the next one ready to start.

import { fitFile } from "../prefs.js";

/** @typedef {import("./slates.js").Item} Item */
/** @typedef {{video: HTMLVideoElement, index: number, ready: boolean}} Player */

const PLAYERS = 3;

export class Stage {
  /**
   * @param {HTMLElement} track the tall box that holds the slides; players lie over their slide in it
   * @param {(index: number) => Item | undefined} itemAt
   * @param {{onplaying: (playing: boolean) => void, onblocked: () => void, onbroken: (index: number) => void}} tell
   */
  constructor(track, itemAt, tell) {
    this.itemAt = itemAt;
    this.tell = tell;
    this.current = -1;
    this.muted = true;
    this.paused = false;
    /** @type {Player[]} */
    this.players = Array.from({ length: PLAYERS }, () => this.#newPlayer(track));
  }

  /** @param {HTMLElement} track @returns {Player} */
  #newPlayer(track) {
    const video = document.createElement("video");
    Object.assign(video, { playsInline: true, loop: true, muted: true, preload: "auto", disablePictureInPicture: true });
    video.setAttribute("playsinline", "");
    video.className = "player";
    video.tabIndex = -1;
    const player = { video, index: -1, ready: false };
    const isCurrent = () => player.index === this.current;
    video.addEventListener("loadeddata", () => {
      player.ready = true;
      video.classList.add("is-ready");
    });
    video.addEventListener("playing", () => {
      if (!isCurrent()) return;
      this.tell.onplaying(true);
      this.#prepare(this.current + 1);
      this.#prepare(this.current - 1);
    });
    video.addEventListener("pause", () => isCurrent() && this.tell.onplaying(false));
    video.addEventListener("waiting", () => isCurrent() && this.tell.onplaying(false));
    video.addEventListener("error", () => video.hasAttribute("src") && isCurrent() && this.tell.onbroken(player.index));
    track.append(video);
    return player;
  }

  /** @returns {HTMLVideoElement | null} the element that plays now */
  get video() {
    const player = this.players.find(({ index }) => index === this.current);
    return player ? player.video : null;
  }

  /**
   * Make the player of `index` hold its clip, loaded from its first byte, not playing.
   * @param {number} index
   * @returns {Player | null}
   */
  #prepare(index) {
    const item = index >= 0 ? this.itemAt(index) : undefined;
    if (!item) return null;
    const player = this.players[index % PLAYERS];
    const file = fitFile(item.video);
    if (player.index === index && player.video.dataset.file === file) return player;
    const { video } = player;
    video.pause();
    video.classList.remove("is-ready");
    player.index = index;
    player.ready = false;
    video.dataset.file = file;
    video.dataset.video = item.video.video_id;
    video.classList.toggle("is-wide", item.video.width > item.video.height * 0.7);
    video.style.setProperty("--at", String(index));
    video.src = file;
    video.load();
    return player;
  }

  /** Play the clip at `index` now; its neighbours load once it moves. @param {number} index */
  show(index) {
    if (index === this.current) return;
    const asked = performance.now();
    for (const { video, index: at } of this.players) {
      if (at === this.current) {
        video.pause();
        video.muted = true;
        if (video.readyState > 0) video.currentTime = 0;
      }
    }
    this.current = index;
    this.paused = false;
    const player = this.#prepare(index);
    if (!player) return;
    const { video } = player;
    video.requestVideoFrameCallback((now) => {
      performance.measure("lightwell:first-frame", { start: asked, end: Math.max(asked, now), detail: { index } });
    });
    void this.#play(video);
  }

  /** @param {HTMLVideoElement} video */
  async #play(video) {
    video.muted = this.muted;
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || video.muted) return;
      // The browser wants a tap before sound: play without it and offer it.
      this.muted = true;
      video.muted = true;
      this.tell.onblocked();
      await video.play().catch(() => undefined);
    }
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    this.muted = muted;
    if (this.video) this.video.muted = muted;
  }

  /** Pause or go on. @returns {boolean} true if it is paused now */
  toggle() {
    const video = this.video;
    if (!video) return false;
    this.paused = !video.paused;
    if (this.paused) video.pause();
    else void this.#play(video);
    return this.paused;
  }

  /** Hold still while something lies over the page, or go on after it. @param {boolean} still */
  hold(still) {
    if (still) this.video?.pause();
    else if (!this.paused && this.video) void this.#play(this.video);
  }

  /** Let go of every clip. */
  clear() {
    this.current = -1;
    for (const player of this.players) {
      player.index = -1;
      player.video.pause();
      player.video.classList.remove("is-ready");
      player.video.removeAttribute("src");
      delete player.video.dataset.file;
      player.video.load();
    }
  }
}
