// Your feed settings: what to open with, how sharp, which theme. Kept in this browser only.

import { el } from "../dom.js";
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

/** @param {() => void} [onclose] */
export function openSettings(onclose) {
  openSheet({
    title: "Your feed settings",
    lead: "Kept in this browser.",
    extra: "is-side",
    onclose,
    body: [
      choice("tab", "Open with", [["for_you", "For you"], ["following", "Following"], ["newest", "Newest"]]),
      el("p", { class: "small quiet" }, "Newest uses nothing about you: it is in order of time."),
      choice("quality", "Picture", [["auto", "As the screen needs"], ["540", "Light"], ["720", "Sharp"]]),
      choice("theme", "Theme", [["system", "As the system"], ["dark", "Dark"], ["light", "Light"]]),
      el("a", { class: "button is-wide", href: "/me#viewer" }, "What the feed knows of you"),
    ],
  });
}
