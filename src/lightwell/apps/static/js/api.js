// Talks JSON to this cell; a refusal arrives as an `ApiProblem` with the words of its problem document.

/** A problem document (RFC 9457), or the network not answering (status 0). */
export class ApiProblem extends Error {
  /** @param {number} status @param {Record<string, any>} document */
  constructor(status, document) {
    super(document.detail || document.title || "The cell did not say why.");
    this.status = status;
    this.document = document;
    /** The last part of the problem's type, such as `suspended-by-order`. */
    this.slug = String(document.type ?? "").split(":").pop() ?? "";
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>} the parsed answer, or null if it has no body
 * @throws {ApiProblem}
 */
export async function call(method, path, body) {
  /** @type {RequestInit} */
  const init = { method, headers: { accept: "application/json" }, credentials: "same-origin" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiProblem(0, { title: "No connection", detail: "The cell does not answer. Check the connection and try again." });
  }
  const text = await response.text();
  let parsed = null;
  try {
    parsed = text ? JSON.parse(text) : null;
  } catch {
    parsed = { title: `Answer ${response.status}`, detail: "The cell's answer could not be read." };
    throw new ApiProblem(response.status, parsed);
  }
  if (!response.ok) throw new ApiProblem(response.status, parsed ?? { title: `Answer ${response.status}` });
  return parsed;
}

/** @param {string} path */
export const get = (path) => call("GET", path);
/** @param {string} path @param {unknown} [body] */
export const post = (path, body) => call("POST", path, body);
/** @param {string} path */
export const remove = (path) => call("DELETE", path);

/** The page to sign in at, that leads back here. */
export const signInPage = () => `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
