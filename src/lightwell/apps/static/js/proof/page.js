// The proof page: one receipt opened step by step, or the list of receipts that this browser keeps.

import { fill, find, notice } from "../dom.js";
import { showList } from "./list.js";
import { showReceipt } from "./receipt.js";

const place = find("#proof");
const leaf = new URLSearchParams(location.search).get("leaf");

try {
  if (leaf === null) await showList(place);
  else if (/^[0-9a-f]{64}$/.test(leaf)) await showReceipt(place, leaf);
  else fill(place, notice("breach", "This is no receipt.", "A leaf has 64 hex characters."));
} catch (error) {
  fill(place, notice("breach", "The proof could not be shown.", error instanceof Error ? error.message : ""));
}
