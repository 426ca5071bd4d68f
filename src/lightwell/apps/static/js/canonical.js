// Canonical JSON (RFC 8785) for the values a slate is made of: no fractions, keys in order, no spaces.

/**
 * Write a value as its one canonical text.
 * @param {unknown} value objects, arrays, strings, whole numbers below 2^53, booleans, null
 * @returns {string}
 * @throws {TypeError} for anything else
 */
export function canonical(value) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new TypeError(`not a whole number below 2^53: ${value}`);
    return String(value);
  }
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object") {
    const object = /** @type {Record<string, unknown>} */ (value);
    const members = Object.keys(object).sort().map((key) => `${JSON.stringify(key)}:${canonical(object[key])}`);
    return `{${members.join(",")}}`;
  }
  throw new TypeError(`cannot be written: ${typeof value}`);
}
