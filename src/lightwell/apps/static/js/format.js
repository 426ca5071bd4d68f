// Numbers and times in the words a person would use.

/** @param {number} count @returns {string} 612, 3,091, 48.2K, 1.2M */
export function count(count) {
  if (count < 10000) return count.toLocaleString("en");
  const [value, unit] = count < 1e6 ? [count / 1e3, "K"] : [count / 1e6, "M"];
  return `${value.toFixed(1).replace(/\.0$/, "")}${unit}`;
}

/** @param {string} words @returns {string} with a capital and a full stop */
export const sentence = (words) => words && `${words[0].toUpperCase()}${words.slice(1).replace(/\.?$/, ".")}`;

/** @param {number} points @returns {string} with its sign: +412, −90 */
export const signed = (points) => `${points < 0 ? "−" : "+"}${Math.abs(points).toLocaleString("en")}`;

/** @param {number} ms @returns {string} 0:04 */
export function clock(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @param {number} ms since the epoch @param {number} [now] @returns {string} 2h, 3d, now */
export function ago(ms, now = Date.now()) {
  const seconds = Math.max(0, (now - ms) / 1000);
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  if (seconds < 86400 * 60) return `${Math.floor(seconds / 86400)}d`;
  return new Date(ms).toLocaleDateString("en", { year: "numeric", month: "short" });
}

/** @param {number} bytes @returns {string} 12.4 MB */
export function size(bytes) {
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** @param {number} ms since the epoch @returns {string} 14:02:11 in the person's own time */
export const timeOfDay = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** @param {number} ms since the epoch @returns {string} 22 Nov, 14:02 */
export const moment = (ms) =>
  new Date(ms).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
