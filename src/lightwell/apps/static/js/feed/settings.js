// Your feed settings: what to open with, how sharp, which theme. Kept in this browser only.

import { call, get } from "../api.js";
import { el, here, say } from "../dom.js";
import { remember, wish } from "../prefs.js";
import { openSheet } from "../sheet.js";

/**
 * @param {"tab" | "quality" | "theme"} name
 * @param {string} title
 * @param {[string, string][]} choices value and words
 */
function choice(name, title, choices) {
  const current = wish(name);
  return el("fieldset", { class: "choice" }, el("legend", {}, title),
    el("div", { class: "choice-row" }, ...choices.map(([value, words]) =>
      el("label", {}, el("input", { type: "radio", name, value, checked: value === current, onchange: () => remember(name, value) }), el("span", {}, words)))));
}

/** Whether the feed may use what the person did: kept by the cell, since it decides what the cell ranks with. */
function profiling() {
  const box = el("input", { type: "checkbox", disabled: true });
  const read = async () => {
    const { without_profiling: without } = await get("/api/me/viewer");
    box.checked = !without;
    box.disabled = false;
  };
  box.addEventListener("change", () => {
    call("PUT", "/api/me/profiling", { profiling: box.checked }).then(
      () => say(box.checked ? "For you uses what you watch." : "For you uses nothing about you."),
      (/** @type {Error} */ error) => {
        box.checked = !box.checked;
        say(error.message);
      });
  });
  read().catch((/** @type {Error} */ error) => say(error.message));
  return el("div", { class: "ticks" }, el("label", {}, box, el("span", {}, "For you may use what I watch and like")));
}

/** @param {() => void} [onclose] */
export function openSettings(onclose) {
  openSheet({
    title: "Your feed settings",
    lead: "Kept in this browser, but for the last.",
    extra: "is-side",
    onclose,
    body: [
      choice("tab", "Open with", [["for_you", "For you"], ["following", "Following"], ["newest", "Newest"]]),
      el("p", { class: "small quiet" }, "Newest uses nothing about you: it is in order of time."),
      choice("quality", "Picture", [["auto", "As the screen needs"], ["540", "Light"], ["720", "Sharp"]]),
      choice("theme", "Theme", [["system", "As the system"], ["dark", "Dark"], ["light", "Light"]]),
      here.account ? profiling() : null,
      el("a", { class: "button is-wide", href: "/me#viewer" }, "What the feed knows of you"),
    ].filter((part) => part !== null),
  });
}
