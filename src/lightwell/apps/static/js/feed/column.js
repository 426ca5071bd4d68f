// The column of slides: snaps from one to the next, fills those near, empties those far.

/** @typedef {import("./slide.js").Slide} Slide */

const NEAR = 2;
const GLIDE_MS = 200;

export class Column {
  /**
   * @param {HTMLElement} scroller has scroll-snap
   * @param {HTMLElement} track holds the slides
   * @param {(index: number, before: number) => void} onarrive called as soon as the next slide is the one
   */
  constructor(scroller, track, onarrive) {
    this.scroller = scroller;
    this.track = track;
    this.onarrive = onarrive;
    /** @type {Slide[]} */
    this.slides = [];
    this.current = -1;
    this.gliding = 0;
    scroller.addEventListener("scroll", () => this.gliding || this.#settle(), { passive: true });
    new ResizeObserver(() => this.current >= 0 && !this.gliding && this.#jump(this.current)).observe(scroller);
  }

  /** @param {Slide[]} slides */
  append(slides) {
    this.slides.push(...slides);
    this.track.append(...slides.map(({ element }) => element));
    if (this.current < 0 && this.slides.length) this.#arrive(0);
    else this.#fill();
  }

  clear() {
    for (const slide of this.slides) {
      slide.unmount();
      slide.element.remove();
    }
    this.slides = [];
    this.current = -1;
    this.scroller.scrollTop = 0;
  }

  /** Where the scroll says we are. */
  #settle() {
    const height = this.scroller.clientHeight;
    if (!height || !this.slides.length) return;
    const index = Math.max(0, Math.min(this.slides.length - 1, Math.round(this.scroller.scrollTop / height)));
    if (index !== this.current) this.#arrive(index);
  }

  /** @param {number} index */
  #arrive(index) {
    const before = this.current;
    this.current = index;
    this.onarrive(index, before);
    this.#fill();
  }

  #fill() {
    this.slides.forEach((slide, i) => {
      if (Math.abs(i - this.current) <= NEAR) slide.mount();
      else slide.unmount();
      slide.element.inert = i !== this.current;
    });
  }

  /** @param {number} index */
  #jump(index) {
    this.scroller.scrollTop = index * this.scroller.clientHeight;
  }

  /** Go by so many slides; the clip starts at once and the page glides after it. @param {number} step */
  move(step) {
    const index = this.current + step;
    if (index < 0 || index >= this.slides.length) return false;
    this.#arrive(index);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.#jump(index);
    else this.#glide(index);
    return true;
  }

  /** @param {number} index */
  #glide(index) {
    const from = this.scroller.scrollTop;
    const to = index * this.scroller.clientHeight;
    const begun = performance.now();
    const turn = ++this.gliding;
    // A snapping scroller pulls every scripted position to a snap point, so snapping rests during the glide.
    this.scroller.classList.add("is-gliding");
    const frame = (/** @type {number} */ now) => {
      if (turn !== this.gliding) return;
      const part = Math.min(1, Math.max(0, (now - begun) / GLIDE_MS));
      this.scroller.scrollTop = from + (to - from) * (1 - (1 - part) ** 3);
      if (part < 1) requestAnimationFrame(frame);
      else {
        this.gliding = 0;
        this.scroller.classList.remove("is-gliding");
      }
    };
    requestAnimationFrame(frame);
  }
}
