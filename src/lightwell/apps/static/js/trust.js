// The keys that the agreement's roster names for this cell's ledger and its witnesses.

import { get } from "./api.js";
import { here } from "./dom.js";

/** @typedef {{role: string, name: string, vkey: string, cell: string | null}} Seat */
/** @typedef {{ledger: string[], witnesses: string[]}} Keys vkeys */

/**
 * Read the `[[seats]]` tables of a roster file: its keys are plain words and its values basic strings.
 * @param {string} text TOML as the roster is written
 * @returns {Seat[]}
 */
export function readRoster(text) {
  return text.split(/^\[\[seats\]\]\s*$/m).slice(1).map((block) => {
    /** @type {Record<string, string>} */
    const fields = {};
    for (const match of block.matchAll(/^(\w+)\s*=\s*("(?:[^"\\]|\\.)*")\s*$/gm)) fields[match[1]] = JSON.parse(match[2]);
    return { role: fields.role, name: fields.name, vkey: fields.vkey, cell: fields.cell ?? null };
  });
}

/** @type {Promise<Keys | null> | null} */
let asked = null;

/** @returns {Promise<Keys | null>} as the roster is now; null while it is not at hand */
export function askKeys() {
  const answer = get("/api/agreement").then(({ roster }) => {
    const seats = readRoster(roster).filter(({ cell }) => cell === null || cell === here.cell);
    const of = (/** @type {string} */ role) => seats.filter((seat) => seat.role === role).map(({ vkey }) => vkey);
    return { ledger: of("ledger"), witnesses: of("witness") };
  }).catch(() => {
    asked = null;
    return null;
  });
  asked = answer;
  return answer;
}

/** @returns {Promise<Keys | null>} as last asked, fetched once a page; null while the roster is not at hand */
export const trustedKeys = () => asked ?? askKeys();
