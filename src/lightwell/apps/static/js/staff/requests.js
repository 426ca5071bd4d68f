// The list of access requests: where each stands, and what the person at the desk may do with it.

import { get, post } from "../api.js";
import { el, entryLink, fill, icon, notice } from "../dom.js";
import { moment } from "../format.js";

/** @typedef {Record<string, any>} AccessRequest as GET /api/access/requests lists it */

/** Plain words for the categories a grant may name. */
export const FIELD_WORDS = /** @type {Record<string, string>} */ ({
  "user.contact.email": "E-mail",
  "user.contact.phone_number": "Phone",
  "user.contact.address": "Address",
  "user.demographic.date_of_birth": "Birthday",
  "user.device": "Device",
  "user.behavior": "What people do",
  "user.device.ip_address": "IP address",
});

/** @type {Record<string, [string, string, string]>} */
export const STATUS = {
  pending: ["clock", "waits for approval", "is-unknown"],
  granted: ["check", "granted", "is-proof"],
  refused: ["cross", "refused", "is-breach"],
  expired: ["clock", "expired", ""],
  revoked: ["cross", "ended", ""],
};

/** @param {string} code @returns {string} */
const words = (code) => code.replaceAll("-", " ").replaceAll("_", " ");

/**
 * Say whether a request waits for the person at the desk: to approve it, to witness it, or to review it afterwards.
 * @param {AccessRequest} request
 * @param {Record<string, any>} who as GET /api/staff/session says
 */
export const waitsFor = (request, who) => !request.mine && (request.status === "pending"
  ? (request.emergency ? who.may_ask || who.may_approve : who.may_approve)
  : isOver(request) && !request.review && who.may_approve);

/** @param {AccessRequest} request @returns {boolean} an emergency that has ended */
const isOver = (request) => Boolean(request.emergency) && ["expired", "revoked"].includes(request.status);

/** @param {number} until milliseconds since the epoch */
function left(until) {
  const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  return seconds >= 90 ? `${Math.ceil(seconds / 60)} minutes left` : `${seconds} seconds left`;
}

/**
 * What a look shows, with who looked and when written over all of it.
 * @param {Record<string, string | null>} fields
 * @param {{who: string, at: number, grant: string, look: number}} mark
 * @returns {HTMLElement}
 */
function reading(fields, mark) {
  const words = `${mark.who} · ${new Date(mark.at).toISOString().slice(0, 19).replace("T", " ")} UTC · ${mark.grant}`;
  const over = el("div", { class: "watermark", "aria-hidden": "true" }, ...Array.from({ length: 24 }, () => el("span", {}, words)));
  return el("div", {}, el("div", { class: "read" }, el("dl", { class: "reading" }, ...Object.entries(fields).map(([category, value]) => {
    const masked = typeof value === "string" && /^[•*]+$/.test(value);
    return el("div", { class: masked ? "is-masked" : "" }, el("dt", {}, FIELD_WORDS[category] ?? category),
      el("dd", {}, value ?? "not given", masked ? el("span", { class: "unseen" }, "not granted") : null));
  })), over), el("p", { class: "tiny quiet read-note" }, `Look ${mark.look}, by ${mark.who}; recorded in the ledger.`));
}

/**
 * @param {AccessRequest} request
 * @param {Record<string, any>} who the person at the desk, as GET /api/staff/session says
 * @param {Map<string, HTMLElement>} readings what is being read, by request
 * @param {() => void} onchange
 */
export function requestCard(request, who, readings, onchange) {
  const [sign, said, kind] = STATUS[request.status] ?? ["unknown", request.status, ""];
  const live = request.status === "granted" && request.expires_at > Date.now();
  if (!live) readings.delete(request.request_id);
  const answer = el("div", { "aria-live": "polite" }, readings.get(request.request_id));
  const act = (/** @type {string} */ verb, /** @type {string} */ label, /** @type {string} */ look) =>
    el("button", { class: `button is-low ${look}`, type: "button", onclick: async () => {
      try {
        if (verb === "fields") {
          const { fields, watermark } = await get(`/api/access/requests/${request.request_id}/fields`);
          readings.set(request.request_id, reading(fields, watermark));
          fill(answer, readings.get(request.request_id));
        } else if (verb === "justified" || verb === "unjustified") {
          await post(`/api/access/requests/${request.request_id}/review`, { justified: verb === "justified" });
          onchange();
        } else {
          await post(`/api/access/requests/${request.request_id}/${verb}`);
          onchange();
        }
      } catch (error) {
        fill(answer, notice("breach", "Refused.", error instanceof Error ? error.message : ""));
      }
    } }, label);
  const pending = request.status === "pending";
  const waits = waitsFor(request, who);
  const reviewed = request.review ? `found ${request.review}` : request.review_by ? `review due ${moment(request.review_by)}` : "";
  return el("article", { class: "card request", data: { request: request.request_id, status: request.status } },
    el("header", { class: "row is-wrap" }, el("h3", { class: "grow" }, request.subject ? `@${request.subject}` : "No account named"),
      request.emergency ? el("span", { class: `tag ${request.emergency === "alone" ? "is-breach" : "is-day"}` }, request.emergency === "alone" ? "emergency, alone" : "emergency") : null,
      el("span", { class: `tag ${kind}` }, icon(sign), said)),
    el("p", { class: "small" }, `${request.by}, ${request.role} in ${request.place} · ${words(request.purpose)}${request.minutes ? ` · ${request.minutes} minutes` : ""}${request.ticket ? ` · ${request.ticket}` : ""}`),
    el("p", { class: "row is-wrap request-fields" }, ...request.fields.map((/** @type {string} */ field) => el("span", { class: "tag" }, FIELD_WORDS[field] ?? field))),
    el("p", { class: "small quiet" }, [
      moment(request.requested_at), request.reason && request.status === "refused" ? words(request.reason) : "",
      !request.minutes || request.status === "refused" ? "" : request.emergency === "alone" ? "no witnesses" : `${request.approvals} of ${request.approvals_needed} ${request.emergency ? "witnesses" : "approved"}`, reviewed, live ? left(request.expires_at) : "",
      request.uses ? `${request.uses} ${request.uses === 1 ? "look" : "looks"}` : "",
    ].filter(Boolean).join(" · "), typeof request.entry === "number" ? " · " : null, entryLink(request.entry)),
    answer,
    el("footer", { class: "row is-wrap" },
      pending && waits ? act("approve", request.emergency ? "Witness it" : "Approve", "is-first") : null,
      !pending && waits ? act("justified", "It was justified", "is-first") : null,
      !pending && waits ? act("unjustified", "It was not", "is-breach") : null,
      live && request.mine ? act("fields", "Show the fields", "is-first") : null,
      (live || pending) && (request.mine || who.may_approve) ? act("revoke", pending ? "Withdraw" : "End it", "is-breach") : null));
}
