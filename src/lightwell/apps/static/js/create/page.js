// The create page: pick or record, send while the person writes, then publish.

import { ApiProblem, get, post } from "../api.js";
import { el, fill, find, notice, turnIcon } from "../dom.js";
import { clock, moment, size } from "../format.js";
import { fetchSounds } from "../sounds.js";
import { chooseSound } from "./choose-sound.js";
import { follow } from "./follow.js";
import { Mix } from "./mix.js";
import { Recorder } from "./recorder.js";
import { Upload } from "./tus.js";

/** @typedef {import("../sounds.js").Sound} Sound */

const limit = Number(find("#create").dataset.limit);
const parts = { pick: find("#pick"), camera: find("#camera"), edit: find("#edit"), done: find("#done") };
const preview = /** @type {HTMLVideoElement} */ (find("#preview"));
const trouble = find("#trouble");
const form = /** @type {HTMLFormElement} */ (find("#form"));
const [offset, soundVolume, originalVolume] = /** @type {HTMLInputElement[]} */ (["#offset", "#sound-volume", "#original-volume"].map((name) => find(name)));
const buttons = /** @type {HTMLButtonElement[]} */ ([find("#publish"), find("#keep")]);

/** @type {Upload | null} */
let upload = null;
/** @type {Promise<string> | null} the id of the upload, once all of it is there */
let sent = null;
/** @type {AbortController | null} */
let stop = null;
let previewUrl = "";
/** @type {Sound | null} */
let sound = null;

const mix = new Mix(preview, (playing) => {
  find(".edit-view").classList.toggle("is-playing", playing);
  const button = find("#preview-play");
  button.setAttribute("aria-label", playing ? "Pause" : "Play");
  turnIcon(button.querySelector("svg"), playing ? "pause" : "play");
});
const recorder = new Recorder(parts.camera, begin, () => show("pick"));

/** @param {keyof typeof parts} name */
function show(name) {
  for (const [key, part] of Object.entries(parts)) part.hidden = key !== name;
  scrollTo(0, 0);
}

/** @param {File} file */
function begin(file) {
  if (file.size > limit) {
    say("This file is too large.", `It has ${size(file.size)}; ${size(limit)} is the most.`, parts.pick);
    return;
  }
  if (file.size === 0) {
    say("This file is empty.", "Pick another.", parts.pick);
    return;
  }
  for (const old of document.querySelectorAll("#pick .notice")) old.remove();
  show("edit");
  if (previewUrl) URL.revokeObjectURL(previewUrl);
  previewUrl = URL.createObjectURL(file);
  preview.src = previewUrl;
  fill(trouble);
  send(file);
}

/** @param {File} file */
function send(file) {
  stop?.abort();
  stop = new AbortController();
  const box = find("#sending");
  box.classList.remove("is-there");
  const words = find("#sending-words");
  words.textContent = `Sending ${file.name}`;
  upload = new Upload(file, {
    signal: stop.signal,
    onprogress: (done, total) => {
      const part = Math.floor((done / total) * 100);
      find("#sending-part").textContent = `${part} %`;
      find("#meter").setAttribute("aria-valuenow", String(part));
      find("#meter i").style.transform = `scaleX(${done / total})`;
    },
  });
  sent = upload.send();
  sent.then(
    () => {
      box.classList.add("is-there");
      words.textContent = `${size(file.size)} sent, sealed in the cell`;
    },
    (error) => {
      if (error instanceof DOMException) return;
      words.textContent = "Not sent";
      fill(trouble, notice("breach", "The file could not be sent.", error.message, " ",
        el("button", { class: "button is-low", type: "button", onclick: () => { fill(trouble); send(file); } }, "Try again")));
    },
  );
}

/** @param {string} title @param {string} detail @param {HTMLElement} place */
function say(title, detail, place) {
  for (const old of place.querySelectorAll(":scope > .notice")) old.remove();
  place.prepend(notice("breach", title, detail));
}

function again() {
  stop?.abort();
  void upload?.drop();
  reset();
}

function reset() {
  upload = null;
  sent = null;
  mix.stop();
  form.reset();
  sayRegions();
  choose(null);
  /** @type {HTMLInputElement} */ (find("#file")).value = "";
  show("pick");
}

/** @param {Sound | null} chosen */
function choose(chosen) {
  sound = chosen;
  mix.choose(chosen);
  find("#sound-words").textContent = chosen ? `${chosen.title} — ${chosen.artist}` : "Add a sound";
  for (const row of document.querySelectorAll("[data-with-sound]")) /** @type {HTMLElement} */ (row).hidden = !chosen;
  offset.max = String(chosen ? Math.max(0, chosen.duration_ms - 1000) : 0);
  offset.value = "0";
  // A chosen sound is meant to be heard: the original steps back, and can be brought forward again.
  originalVolume.value = chosen ? "30" : "100";
  tune();
}

function tune() {
  mix.set({ offsetMs: offset.valueAsNumber, sound: soundVolume.valueAsNumber, original: originalVolume.valueAsNumber });
  find("#offset-out").textContent = clock(offset.valueAsNumber);
  find("#sound-volume-out").textContent = soundVolume.value;
  find("#original-volume-out").textContent = originalVolume.value;
}

/** @returns {HTMLInputElement[]} a box for each region of the agreement */
const regionBoxes = () => [...form.querySelectorAll('input[name="region"]')].map((box) => /** @type {HTMLInputElement} */ (box));

/** @returns {string[]} the regions it may be shown in; none for all */
function chosenRegions() {
  const chosen = regionBoxes().filter(({ checked }) => checked);
  return chosen.length === regionBoxes().length ? [] : chosen.map(({ value }) => value);
}

function sayRegions() {
  const chosen = chosenRegions();
  const none = !regionBoxes().some(({ checked }) => checked);
  find("#regions-words").textContent = none ? "Choose at least one region" : chosen.length ? `Shown only in ${chosen.join(", ")}` : "Shown in every region";
  for (const button of buttons) button.disabled = none;
}
for (const box of regionBoxes()) box.addEventListener("input", sayRegions);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!sent) return;
  const publish = /** @type {SubmitEvent} */ (event).submitter?.getAttribute("value") !== "keep";
  for (const button of buttons) button.disabled = true;
  fill(trouble);
  try {
    const uploadId = await sent;
    const answer = await post("/api/videos", {
      upload_id: uploadId,
      caption: /** @type {HTMLTextAreaElement} */ (find("#caption")).value.trim(),
      sound_id: sound?.sound_id ?? null,
      sound_offset_ms: offset.valueAsNumber,
      sound_volume: soundVolume.valueAsNumber,
      original_volume: originalVolume.valueAsNumber,
      adult: /** @type {HTMLInputElement} */ (find("#adult")).checked,
      regions: chosenRegions(),
      publish,
    });
    mix.stop();
    show("done");
    await follow(parts.done, answer.video_id, previewUrl, reset);
  } catch (error) {
    if (error instanceof ApiProblem && !trouble.childElementCount) fill(trouble, notice("breach", "Not published.", error.message));
  } finally {
    for (const button of buttons) button.disabled = false;
  }
});

const input = /** @type {HTMLInputElement} */ (find("#file"));
const picked = () => input.files?.[0] && begin(input.files[0]);
input.addEventListener("change", picked);
const drop = find("#drop");
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    drop.classList.toggle("is-over", name === "dragover");
    const [file] = name === "drop" ? (event.dataTransfer?.files ?? []) : [];
    if (file) begin(file);
  });
}
find("#record").addEventListener("click", () => {
  show("camera");
  void recorder.open();
});
preview.addEventListener("error", () => {
  if (preview.hasAttribute("src")) find("#preview-state").textContent = "This browser cannot show this kind of file. The cell may still take it.";
});
preview.addEventListener("loadeddata", () => (find("#preview-state").textContent = ""));
find("#preview-play").addEventListener("click", () => mix.turn());
find("#again").addEventListener("click", again);
find("#choose-sound").addEventListener("click", () => {
  mix.stop();
  void chooseSound(sound, choose);
});
for (const input of [offset, soundVolume, originalVolume]) input.addEventListener("input", tune);
const caption = /** @type {HTMLTextAreaElement} */ (find("#caption"));
caption.addEventListener("input", () => (find("#caption-left").textContent = caption.value.length > 200 ? `${300 - caption.value.length} left` : ""));
addEventListener("pagehide", () => recorder.close());
tune();

const wanted = new URLSearchParams(location.search).get("sound");
if (wanted) {
  fetchSounds().then((sounds) => choose(sounds.find(({ sound_id: id }) => id === wanted) ?? null), () => undefined);
}
// On a slow line a person may have picked one before this module was here.
picked();
get("/api/status").then(({ suspended }) => {
  const order = suspended.find((/** @type {{scope: string}} */ { scope }) => scope === "uploads");
  if (order) {
    fill(find("#stopped"), notice("breach", "Uploads are suspended by an order.", "Order ", el("code", {}, order.order), `, since ${moment(order.since * 1000)}. The feed goes on.`));
  }
}, () => undefined);
