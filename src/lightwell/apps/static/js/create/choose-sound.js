// A sheet to hear the library and choose one sound, or none.

import { el, fill, notice } from "../dom.js";
import { openSheet } from "../sheet.js";
import { fetchSounds, Hearing, soundRow } from "../sounds.js";

/** @typedef {import("../sounds.js").Sound} Sound */

/** @param {Sound | null} chosen @param {(sound: Sound | null) => void} onchoose */
export async function chooseSound(chosen, onchoose) {
  const hearing = new Hearing();
  const list = el("ul", { class: "sounds" });
  const pick = (/** @type {Sound | null} */ sound) => {
    sheet.close();
    onchoose(sound);
  };
  const none = el("button", { class: "button is-wide", type: "button", onclick: () => pick(null) }, "No sound");
  const sheet = openSheet({ title: "Choose a sound", body: chosen ? [none, list] : [list], extra: "is-side", onclose: () => hearing.stop() });
  try {
    const sounds = await fetchSounds();
    fill(list, ...sounds.map((sound) => {
      const row = soundRow(sound, hearing, el("button", { class: "button is-low", type: "button", "aria-label": `Use ${sound.title}`, onclick: () => pick(sound) }, "Use"));
      row.classList.toggle("is-chosen", sound.sound_id === chosen?.sound_id);
      return row;
    }));
  } catch (error) {
    fill(list, notice("breach", "The library could not be fetched.", error instanceof Error ? error.message : ""));
  }
}
