// <lw-avatar handle="mira.folds">: a small light of one's own, drawn from the handle.

const SVG = "http://www.w3.org/2000/svg";
let drawn = 0;

/** @param {string} text @returns {number} 32 bits (FNV-1a) */
function hash(text) {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {...Element} children */
function shape(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

class Avatar extends HTMLElement {
  static observedAttributes = ["handle"];

  attributeChangedCallback() {
    const handle = this.getAttribute("handle") ?? "";
    const seed = hash(handle);
    const hue = seed % 360;
    const id = `avatar-${drawn++}`;
    const stop = (/** @type {string} */ at, /** @type {string} */ color) => shape("stop", { offset: at, "stop-color": color });
    const dark = shape("linearGradient", { id: `${id}a`, x1: 0, y1: 0, x2: 1, y2: 1 },
      stop("0", `hsl(${hue} 55% 16%)`), stop("1", `hsl(${(hue + 40) % 360} 60% 34%)`));
    const light = shape("linearGradient", { id: `${id}b`, x1: 0, y1: 1, x2: 1, y2: 0 },
      stop("0", `hsl(${(hue + 60) % 360} 80% 62%)`), stop("1", `hsl(${(hue + 95) % 360} 90% 88%)`));
    const lean = (seed >>> 9) % 14;
    const width = 9 + ((seed >>> 13) % 8);
    const left = 6 + ((seed >>> 17) % 14);
    const svg = shape("svg", { viewBox: "0 0 40 40", "aria-hidden": "true" },
      shape("defs", {}, dark, light),
      shape("rect", { width: 40, height: 40, fill: `url(#${id}a)` }),
      shape("path", { d: `M${left + lean} -2h${width}L${left + width - lean + 6} 42h-${width}z`, fill: `url(#${id}b)`, opacity: 0.9 }),
      shape("circle", { cx: 8 + ((seed >>> 21) % 24), cy: 8 + ((seed >>> 24) % 24), r: 4 + ((seed >>> 5) % 5), fill: `hsl(${(hue + 180) % 360} 70% 70%)`, opacity: 0.55 }));
    this.replaceChildren(svg);
  }
}

customElements.define("lw-avatar", Avatar);
