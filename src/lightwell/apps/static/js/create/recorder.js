// Records from the camera in the page: a picture, a count of time, one button to start and stop.

import { el, fill, icon, notice } from "../dom.js";
import { clock } from "../format.js";

const MOST_MS = 60_000;
const KINDS = ["video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];

export class Recorder {
  /** @param {HTMLElement} place @param {(file: File) => void} ondone @param {() => void} onleave */
  constructor(place, ondone, onleave) {
    this.place = place;
    this.ondone = ondone;
    this.onleave = onleave;
    this.facing = "user";
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {MediaRecorder | null} */
    this.recorder = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.timer = undefined;
  }

  /** Ask for the camera and show what it sees. */
  async open() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: true,
        video: { facingMode: this.facing, width: { ideal: 1080 }, height: { ideal: 1920 }, frameRate: { ideal: 30, max: 60 } },
      });
    } catch (error) {
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      fill(this.place, notice("breach", denied ? "No leave to use the camera." : "No camera was found.",
        denied ? "Allow camera and microphone for this page, or pick a file." : "Pick a file."),
      el("button", { class: "button", type: "button", onclick: () => this.leave() }, "Pick a file"));
      return;
    }
    const preview = el("video", { class: `live ${this.facing === "user" ? "is-mirror" : ""}`, playsinline: true, autoplay: true });
    preview.muted = true;
    preview.srcObject = this.stream;
    this.button = el("button", { class: "record", type: "button", "aria-label": "Record", onclick: () => this.turn() }, el("i"));
    this.time = el("span", { class: "record-time", role: "timer" }, "0:00");
    this.ring = el("i", { class: "record-part" });
    this.flip = el("button", { class: "round", type: "button", "aria-label": "Other camera", onclick: () => this.other() }, icon("flip"));
    fill(this.place, el("div", { class: "viewfinder" }, preview, el("div", { class: "record-line", "aria-hidden": "true" }, this.ring),
      el("div", { class: "record-bar" },
        el("button", { class: "round", type: "button", "aria-label": "Back", onclick: () => this.leave() }, icon("back")),
        el("div", { class: "record-mid" }, this.time, this.button), this.flip)));
  }

  async other() {
    this.close();
    this.facing = this.facing === "user" ? "environment" : "user";
    await this.open();
  }

  /** Start, or stop and hand over what was recorded. */
  turn() {
    if (this.recorder?.state === "recording") {
      this.recorder.stop();
      return;
    }
    if (!this.stream || !this.button || !this.flip || !this.time || !this.ring) return;
    const kind = KINDS.find((name) => MediaRecorder.isTypeSupported(name));
    /** @type {Blob[]} */
    const parts = [];
    const recorder = new MediaRecorder(this.stream, { mimeType: kind, videoBitsPerSecond: 6_000_000 });
    this.recorder = recorder;
    recorder.ondataavailable = ({ data }) => data.size && parts.push(data);
    recorder.onstop = () => {
      clearInterval(this.timer);
      this.close();
      const type = recorder.mimeType.split(";")[0];
      const name = `recorded.${type.endsWith("mp4") ? "mp4" : "webm"}`;
      this.ondone(new File(parts, name, { type, lastModified: Date.now() }));
    };
    recorder.start(500);
    const begun = performance.now();
    this.button.classList.add("is-on");
    this.button.setAttribute("aria-label", "Stop");
    this.flip.disabled = true;
    const { time, ring } = this;
    this.timer = setInterval(() => {
      const ms = performance.now() - begun;
      time.textContent = clock(ms);
      ring.style.transform = `scaleX(${Math.min(1, ms / MOST_MS)})`;
      if (ms >= MOST_MS && recorder.state === "recording") recorder.stop();
    }, 100);
  }

  leave() {
    if (this.recorder?.state === "recording") {
      this.recorder.onstop = null;
      this.recorder.stop();
    }
    clearInterval(this.timer);
    this.close();
    this.onleave();
  }

  /** Let the camera go. */
  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
  }
}
