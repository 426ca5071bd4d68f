// Makes elements, icons and short notices without markup in strings.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Make an element. Keys: `class`, `on<event>` for a listener, `data` for data attributes, others are attributes
 * (false and null leave them out, true sets them empty).
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children text is text, never markup
 * @returns {any} the element
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...kept(children));
  return node;
}

/** @param {Child[]} children @returns {(Node | string)[]} */
const kept = (children) => /** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined && child !== false));

/** @param {Element} node @param {...Child} children */
export const fill = (node, ...children) => node.replaceChildren(...kept(children));

/**
 * One icon of the sprite. Decorative: name the control around it.
 * @param {string} name
 * @param {string} [extra] a class
 */
export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${extra}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/static/icons/sprite.svg#${name}`);
  svg.append(use);
  return svg;
}

/** @param {SVGElement} svg made by `icon` @param {string} name */
export const turnIcon = (svg, name) => svg.firstElementChild?.setAttribute("href", `/static/icons/sprite.svg#${name}`);

/** @param {string} selector @param {ParentNode} [root] @returns {any} the element, which must be there */
export function find(selector, root = document) {
  const node = root.querySelector(selector);
  if (!node) throw new Error(`the page has no ${selector}`);
  return node;
}

/** Say something short to the person; read out too. @param {string} words */
export function say(words) {
  const toast = el("div", { class: "toast" }, words);
  find("#toasts").append(toast);
  setTimeout(() => toast.remove(), 3200);
}

/**
 * A notice with a sign and words: `breach`, `proof`, `unknown` or plain.
 * @param {"breach" | "proof" | "unknown" | ""} kind
 * @param {string} title
 * @param {...Child} detail
 */
export function notice(kind, title, ...detail) {
  const sign = { breach: "cross", proof: "check", unknown: "unknown", "": "clock" }[kind];
  return el("div", { class: `notice ${kind ? `is-${kind}` : ""}`, role: kind === "breach" ? "alert" : "status" },
    icon(sign), el("div", {}, el("strong", {}, title), " ", ...detail));
}

/**
 * A link to an entry of this cell's ledger, where the browser checks it.
 * @param {number | null | undefined} index nothing is returned while there is none
 */
export const entryLink = (index) => typeof index === "number" ? el("a", { class: "entry", href: `/proof?entry=${index}` }, `entry ${index.toLocaleString("en")}`) : null;

/** What the server wrote on the page's root: cell, region, account, oversight (an address or empty). */
export const here = document.documentElement.dataset;
