// Sends a file by tus 1.0 in parts, goes on after a break where it stopped, and tells how far it is.

import { ApiProblem } from "../api.js";
import { toBase64, utf8 } from "../bytes.js";

const VERSION = "1.0.0";
const PART_BYTES = 4 * 1024 * 1024;
const TRIES = 6;
const KEY = "lightwell.uploads";

/** @typedef {{onprogress: (sent: number, total: number) => void, signal: AbortSignal}} Watch */

/** @param {XMLHttpRequest} request @returns {ApiProblem} */
function problemOf(request) {
  try {
    return new ApiProblem(request.status, JSON.parse(request.responseText));
  } catch {
    return new ApiProblem(request.status, { detail: request.status ? `The cell answered ${request.status}.` : "The connection broke." });
  }
}

/**
 * One request with progress of what it sends, which fetch does not tell.
 * @param {string} method
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {Blob | null} body
 * @param {AbortSignal} signal
 * @param {(sent: number) => void} [onsent]
 * @returns {Promise<XMLHttpRequest>}
 * @throws {ApiProblem} any answer that is no success
 */
function ask(method, url, headers, body, signal, onsent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.setRequestHeader("Tus-Resumable", VERSION);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onsent?.(event.loaded);
    request.onload = () => (request.status >= 200 && request.status < 300 ? resolve(request) : reject(problemOf(request)));
    request.onerror = () => reject(problemOf(request));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

/** @returns {Record<string, string>} addresses of unfinished uploads, by the file's name, size and date */
function unfinished() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}

/** @param {string} file @param {string | null} url */
function keep(file, url) {
  const all = unfinished();
  if (url) all[file] = url;
  else delete all[file];
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // Then it starts again from its first byte.
  }
}

/** @param {string} url @param {AbortSignal} signal @returns {Promise<number>} bytes that the cell has */
async function offsetOf(url, signal) {
  return Number((await ask("HEAD", url, {}, null, signal)).getResponseHeader("Upload-Offset"));
}

/** One file on its way to the cell. */
export class Upload {
  /** @param {File} file @param {Watch} watch */
  constructor(file, watch) {
    this.file = file;
    this.watch = watch;
    this.name = `${file.name}|${file.size}|${file.lastModified}`;
    this.url = "";
  }

  /** The id the cell gave it. */
  get id() {
    return this.url.split("/").pop() ?? "";
  }

  /**
   * Send it all.
   * @returns {Promise<string>} the upload's id
   * @throws {ApiProblem} the cell refuses it, or cannot be reached after several tries
   */
  async send() {
    const { signal, onprogress } = this.watch;
    let offset = await this.#begin();
    let failures = 0;
    while (offset < this.file.size) {
      onprogress(offset, this.file.size);
      try {
        const part = this.file.slice(offset, offset + PART_BYTES);
        const from = offset;
        const answer = await ask("PATCH", this.url,
          { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" }, part, signal,
          (sent) => onprogress(from + Math.min(sent, part.size), this.file.size));
        offset = Number(answer.getResponseHeader("Upload-Offset"));
        failures = 0;
      } catch (error) {
        if (!(error instanceof ApiProblem)) throw error;
        const again = error.status === 0 || error.status === 409 || error.status === 423 || error.status >= 500;
        if (!again || ++failures >= TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, 400 * 2 ** failures));
        offset = await offsetOf(this.url, signal).catch(() => offset);
      }
    }
    onprogress(this.file.size, this.file.size);
    keep(this.name, null);
    return this.id;
  }

  /** @returns {Promise<number>} where to go on */
  async #begin() {
    const { signal } = this.watch;
    const before = unfinished()[this.name];
    if (before) {
      try {
        const offset = await offsetOf(before, signal);
        this.url = before;
        return offset;
      } catch {
        keep(this.name, null);
      }
    }
    const metadata = [["filename", this.file.name], ["filetype", this.file.type || "application/octet-stream"]]
      .map(([key, value]) => `${key} ${toBase64(utf8(value))}`).join(",");
    const answer = await ask("POST", "/api/uploads", { "Upload-Length": String(this.file.size), "Upload-Metadata": metadata }, null, signal);
    const place = answer.getResponseHeader("Location");
    if (!place) throw new ApiProblem(answer.status, { detail: "The cell gave the upload no address." });
    this.url = new URL(place, location.href).pathname;
    keep(this.name, this.url);
    return 0;
  }

  /** Take it back from the cell, as far as it is there. */
  async drop() {
    keep(this.name, null);
    if (this.url) await ask("DELETE", this.url, {}, null, new AbortController().signal).catch(() => undefined);
  }
}
