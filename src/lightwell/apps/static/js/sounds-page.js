// The page of sounds: hear them, use one.

import { el, fill, find, notice } from "./dom.js";
import { fetchSounds, Hearing, soundRow } from "./sounds.js";

const list = find("#sounds");
const hearing = new Hearing();

try {
  const sounds = await fetchSounds();
  fill(list, ...sounds.map((sound) => soundRow(sound, hearing,
    el("a", { class: "button is-low", href: `/create?sound=${sound.sound_id}`, "aria-label": `Use ${sound.title}` }, "Use"))));
  find("#sounds-count").textContent = sounds.length ? `${sounds.length} sounds, free to use in your videos.` : "Sounds will be here as soon as the library is made.";
} catch (error) {
  fill(list, notice("breach", "The library could not be fetched.", error instanceof Error ? error.message : ""));
}
