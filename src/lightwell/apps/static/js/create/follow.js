// Follows a video from "processing" to published or refused, and says where it stands.

import { get, post } from "../api.js";
import { el, fill, here, notice } from "../dom.js";

const EVERY_MS = 700;

/**
 * @param {HTMLElement} place
 * @param {string} videoId
 * @param {string} preview an object URL of the picked file
 * @param {() => void} onagain make another
 */
export async function follow(place, videoId, preview, onagain) {
  const picture = el("div", { class: "done-view" });
  const clip = el("video", { src: preview, playsinline: true, loop: true, autoplay: true });
  clip.muted = true;
  picture.append(clip);
  const words = el("div", { class: "stack is-tight" }, el("h2", {}, "Processing"),
    el("p", {}, "It is checked, cut to size and set to its sound. You may leave this page."));
  const acts = el("div", { class: "row" });
  place.classList.add("is-working");
  fill(place, picture, words, acts);
  const again = el("button", { class: "button", type: "button", onclick: onagain }, "Make another");
  for (;;) {
    let video;
    try {
      video = await get(`/api/videos/${videoId}`);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 3000));
      continue;
    }
    if (video.status === "processing") {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      continue;
    }
    place.classList.remove("is-working");
    place.dataset.status = video.status;
    if (video.status === "published") {
      fill(words, el("h2", {}, "Published"), el("p", {}, `It is in the feed now, and its entry is in the ${here.cell} ledger.`));
      fill(acts, again, el("a", { class: "button is-first", href: `/v/${videoId}` }, "Watch it"));
    } else if (video.status === "ready") {
      fill(words, el("h2", {}, "Kept"), el("p", {}, "It is ready and only you can see it."));
      const publish = el("button", { class: "button is-first", type: "button", onclick: async () => {
        publish.disabled = true;
        try {
          await post(`/api/videos/${videoId}/publish`);
          await follow(place, videoId, preview, onagain);
        } catch (error) {
          publish.disabled = false;
          words.append(notice("breach", "Not published.", error instanceof Error ? error.message : ""));
        }
      } }, "Publish");
      fill(acts, again, publish);
    } else {
      const { title, detail } = video.problem ?? { title: "Refused", detail: "The cell did not say why." };
      fill(words, notice("breach", `${title}.`, detail), el("p", {}, "Nothing of it was kept."));
      fill(acts, again);
    }
    return;
  }
}
