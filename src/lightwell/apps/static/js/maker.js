// The follow button of a maker's page.

import "./avatar.js";
import { flush, note } from "./feed/log.js";

const button = /** @type {HTMLButtonElement | null} */ (document.querySelector("#follow"));
button?.addEventListener("click", () => {
  const follows = button.dataset.follows !== "yes";
  button.dataset.follows = follows ? "yes" : "no";
  button.textContent = follows ? "Following" : "Follow";
  button.classList.toggle("is-first", !follows);
  note(follows ? "follow" : "unfollow", /** @type {string} */ (button.dataset.video));
  void flush();
});
