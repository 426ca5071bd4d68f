// What this browser remembers of its person's wishes. Nothing here is sent anywhere.

/** @type {Record<string, string>} */
const DEFAULTS = { muted: "no", tab: "for_you", quality: "auto", theme: "system" };

/** @param {"muted" | "tab" | "quality" | "theme"} name @returns {string} */
export function wish(name) {
  try {
    return localStorage.getItem(`lightwell.${name}`) ?? DEFAULTS[name];
  } catch {
    return DEFAULTS[name];
  }
}

/** @param {"muted" | "tab" | "quality" | "theme"} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`lightwell.${name}`, value);
  } catch {
    // A browser that keeps nothing still plays.
  }
  if (name === "theme") {
    if (value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
  }
}

/** @param {Record<string, any>} video @returns {string} the file fit for this screen and connection */
export function fitFile(video) {
  const { "540": small, "720": large } = video.media;
  const asked = wish("quality");
  if (asked !== "auto") return (asked === "720" ? large : small) ?? large ?? small;
  const connection = /** @type {any} */ (navigator).connection;
  const width = Math.min(innerWidth, innerHeight * 0.5625) * devicePixelRatio;
  const saves = connection?.saveData || ["slow-2g", "2g", "3g"].includes(connection?.effectiveType);
  return (width > 620 && !saves ? large : small) ?? small ?? large;
}
