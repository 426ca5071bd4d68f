// The list of access requests: where each stands, and what the person at the desk may do with it.

import { get, post } from "../api.js";
import { el, fill, icon, notice } from "../dom.js";
import { moment } from "../format.js";

/** @typedef {Record<string, any>} AccessRequest as GET /api/access/requests lists it */

/** Plain words for the categories a grant may name. */
export const FIELD_WORDS = /** @type {Record<string, string>} */ ({
  "user.contact.email": "E-mail",
  "user.contact.phone_number": "Phone",
  "user.contact.address": "Address",
  "user.demographic.date_of_birth": "Birthday",
  "user.device": "Device",
  "user.device.ip_address": "IP address",
});

/** @type {Record<string, [string, string, string]>} */
const STATUS = {
  pending: ["clock", "waits for approval", "is-unknown"],
  granted: ["check", "granted", "is-proof"],
  refused: ["cross", "refused", "is-breach"],
  expired: ["clock", "expired", ""],
  revoked: ["cross", "ended", ""],
};

/** @param {string} code @returns {string} */
const words = (code) => code.replaceAll("-", " ").replaceAll("_", " ");

/** @param {number} until milliseconds since the epoch */
function left(until) {
  const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  return seconds >= 90 ? `${Math.ceil(seconds / 60)} minutes left` : `${seconds} seconds left`;
}

/** @param {Record<string, string | null>} fields @returns {HTMLElement} */
function reading(fields) {
  return el("dl", { class: "reading" }, ...Object.entries(fields).map(([category, value]) => {
    const masked = typeof value === "string" && /^[•*]+$/.test(value);
    return el("div", { class: masked ? "is-masked" : "" }, el("dt", {}, FIELD_WORDS[category] ?? category),
      el("dd", {}, value ?? "not given", masked ? el("span", { class: "unseen" }, "not granted") : null));
  }));
}

/**
 * @param {AccessRequest} request
 * @param {boolean} approves whether the person may approve it at all
 * @param {Map<string, HTMLElement>} readings what is being read, by request
 * @param {() => void} onchange
 */
export function requestCard(request, approves, readings, onchange) {
  const [sign, said, kind] = STATUS[request.status] ?? ["unknown", request.status, ""];
  const live = request.status === "granted" && request.expires_at > Date.now();
  if (!live) readings.delete(request.request_id);
  const answer = el("div", { "aria-live": "polite" }, readings.get(request.request_id));
  const act = (/** @type {string} */ verb, /** @type {string} */ label, /** @type {string} */ look) =>
    el("button", { class: `button is-low ${look}`, type: "button", onclick: async () => {
      try {
        if (verb === "fields") {
          const { fields } = await get(`/api/access/requests/${request.request_id}/fields`);
          readings.set(request.request_id, reading(fields));
          fill(answer, readings.get(request.request_id), el("p", { class: "tiny quiet" }, "This look is recorded in the ledger."));
        } else {
          await post(`/api/access/requests/${request.request_id}/${verb}`);
          onchange();
        }
      } catch (error) {
        fill(answer, notice("breach", "Refused.", error instanceof Error ? error.message : ""));
      }
    } }, label);
  const pending = request.status === "pending";
  return el("article", { class: "card request", data: { request: request.request_id, status: request.status } },
    el("header", { class: "row is-wrap" }, el("h3", { class: "grow" }, request.subject ? `@${request.subject}` : "Account not kept"),
      el("span", { class: `tag ${kind}` }, icon(sign), said)),
    el("p", { class: "small" }, `${request.by}, ${request.role} in ${request.place} · ${words(request.purpose)} · ${request.minutes} minutes${request.ticket ? ` · ${request.ticket}` : ""}`),
    el("p", { class: "row is-wrap request-fields" }, ...request.fields.map((/** @type {string} */ field) => el("span", { class: "tag" }, FIELD_WORDS[field] ?? field))),
    el("p", { class: "small quiet" }, [
      moment(request.requested_at), request.reason && request.status === "refused" ? words(request.reason) : "",
      `${request.approvals} of ${request.approvals_needed} approved`, live ? left(request.expires_at) : "",
      request.uses ? `${request.uses} ${request.uses === 1 ? "look" : "looks"}` : "",
      request.entry !== null && request.entry !== undefined ? `entry ${request.entry.toLocaleString("en")}` : "",
    ].filter(Boolean).join(" · ")),
    answer,
    el("footer", { class: "row is-wrap" },
      pending && !request.mine && approves ? act("approve", "Approve", "is-first") : null,
      live && request.mine ? act("fields", "Show the fields", "is-first") : null,
      live || pending ? act("revoke", pending ? "Withdraw" : "End it", "is-breach") : null));
}
