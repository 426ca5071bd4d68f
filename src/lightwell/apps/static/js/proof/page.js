// The proof page: one receipt or one entry opened step by step, or the list of receipts that this browser keeps.

import { fill, find, notice } from "../dom.js";
import { showEntry } from "./entry.js";
import { showList } from "./list.js";
import { showReceipt } from "./receipt.js";

const place = find("#proof");
const asked = new URLSearchParams(location.search);
const leaf = asked.get("leaf");
const entry = asked.get("entry");

try {
  if (entry !== null && /^(0|[1-9][0-9]{0,14})$/.test(entry)) await showEntry(place, Number(entry));
  else if (entry !== null) fill(place, notice("breach", "This is no entry.", "Entries have whole numbers, from 0."));
  else if (leaf === null) await showList(place);
  else if (/^[0-9a-f]{64}$/.test(leaf)) await showReceipt(place, leaf);
  else fill(place, notice("breach", "This is no receipt.", "A leaf has 64 hex characters."));
} catch (error) {
  fill(place, notice("breach", "The proof could not be shown.", error instanceof Error ? error.message : ""));
}
