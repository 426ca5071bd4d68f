// The dimmed blur of the clip around it on a wide screen: a few hundred pixels, drawn a few times a second.

const WIDTH = 36;
const HEIGHT = 64;
const EVERY_MS = 250;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {() => HTMLVideoElement | null} current
 * @returns {{show: (poster: string) => void}}
 */
export function startAmbient(canvas, current) {
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pen = canvas.getContext("2d");
  const wide = matchMedia("(min-width: 900px)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  setInterval(() => {
    const video = current();
    if (!pen || !wide.matches || still.matches || document.hidden || !video || video.paused || video.readyState < 2) return;
    pen.globalAlpha = 0.35;
    pen.drawImage(video, 0, 0, WIDTH, HEIGHT);
  }, EVERY_MS);
  let asked = 0;
  return {
    show(poster) {
      if (!pen || !wide.matches) return;
      const turn = ++asked;
      const image = new Image();
      image.onload = () => {
        if (turn !== asked) return;
        pen.globalAlpha = 1;
        pen.drawImage(image, 0, 0, WIDTH, HEIGHT);
      };
      image.src = poster;
    },
  };
}
