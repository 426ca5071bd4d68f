// Keeps the newest receipts in this browser, so that a promise can be held against the ledger later.

/** @typedef {{leaf: string, at: number, tab: string, promise: string, vkey: string, origin: string, entry: string, videos: number}} Receipt */

const KEY = "lightwell.receipts";
const KEPT = 60;

/** @returns {Receipt[]} newest first */
export function receipts() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

/** @param {Receipt} receipt */
export function keepReceipt(receipt) {
  const others = receipts().filter(({ leaf }) => leaf !== receipt.leaf);
  try {
    localStorage.setItem(KEY, JSON.stringify([receipt, ...others].slice(0, KEPT)));
  } catch {
    // A full or closed store loses the copy, not the ledger.
  }
}

/** @param {string} leaf @returns {Receipt | undefined} */
export const receiptOf = (leaf) => receipts().find((receipt) => receipt.leaf === leaf);
