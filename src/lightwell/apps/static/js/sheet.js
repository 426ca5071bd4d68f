// A sheet that rises from the foot on a phone and stands at the side on a desktop. Native <dialog>: focus and Escape are its own.

import { el, icon } from "./dom.js";

/**
 * Open a sheet. It closes on Escape, on a tap outside, on a swipe down, and by its button.
 * @param {{title: string, lead?: string, body: Node[], onclose?: () => void, extra?: string}} what
 * @returns {{element: HTMLDialogElement, close: () => void}}
 */
export function openSheet({ title, lead, body, onclose, extra = "" }) {
  const close = () => dialog.close();
  const heading = el("h2", { id: "sheet-title" }, title);
  const grip = el("div", { class: "sheet-grip", "aria-hidden": "true" });
  const inner = el("div", { class: "sheet-inner" },
    grip,
    el("header", { class: "sheet-head" }, el("div", {}, heading, lead ? el("p", {}, lead) : null),
      el("button", { class: "round sheet-close", type: "button", "aria-label": "Close", onclick: close }, icon("cross"))),
    ...body);
  /** @type {HTMLDialogElement} */
  const dialog = el("dialog", { class: `sheet ${extra}`, "aria-labelledby": "sheet-title" }, inner);
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose?.();
  });
  draggable(dialog, inner, close);
  document.body.append(dialog);
  dialog.showModal();
  return { element: dialog, close };
}

/** @param {HTMLElement} dialog @param {HTMLElement} inner @param {() => void} close */
function draggable(dialog, inner, close) {
  let from = 0;
  let moved = 0;
  inner.addEventListener("touchstart", (event) => {
    from = inner.scrollTop <= 0 ? event.touches[0].clientY : NaN;
    moved = 0;
  }, { passive: true });
  inner.addEventListener("touchmove", (event) => {
    moved = event.touches[0].clientY - from;
    if (moved > 0) dialog.style.transform = `translateY(${moved}px)`;
  }, { passive: true });
  inner.addEventListener("touchend", () => {
    dialog.style.transform = "";
    if (moved > 90) close();
  });
}
