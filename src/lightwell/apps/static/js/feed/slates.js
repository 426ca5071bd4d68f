// Fetches slates one after another and checks each against its proof as it comes.

import { get } from "../api.js";
import { toHex, utf8 } from "../bytes.js";
import { pin, withFailure } from "../ledgers.js";
import { leafHash } from "../merkle.js";
import { absent, ownFinding, placing } from "../recheck.js";
import { amend, keepReceipt, standing } from "../receipts.js";
import { fetchPlace } from "../tiles.js";
import { trustedKeys } from "../trust.js";
import { canCheck, checkInclusion, checkSlate } from "../verify.js";

/** @typedef {{text: string, points: number}} Reason */
/** @typedef {{agrees: boolean, items: {video: string, score: number, reasons: Reason[], promotion: any}[]}} Why as GET /api/slates/{leaf}/why answers */
/** @typedef {import("../ledgers.js").Ledger} Ledger */
/** @typedef {import("../receipts.js").Receipt} Receipt */
/** @typedef {import("../verify.js").Proof} Proof */
/** @typedef {import("../verify.js").InclusionVerdict} InclusionVerdict */
/** @typedef {Record<string, any>} Video as GET /api/videos/{id} answers */
/** @typedef {{place: number, score: number, source: string, video: Video, liked: boolean, follows: boolean, promotion?: any, slate?: Slate}} Item */

/** One answered slate: what was shown, its proof, and how far the check has come. */
export class Slate extends EventTarget {
  /** @param {Item[]} items @param {Proof} proof @param {string} tab @param {string} nonce that this browser drew for it */
  constructor(items, proof, tab, nonce) {
    super();
    this.nonce = nonce;
    this.items = items;
    this.proof = proof;
    this.tab = tab;
    /** @type {"checking" | "held" | "failed" | "unknown"} */
    this.state = "checking";
    /** Why it is not green, in words. */
    this.words = "";
    this.checkedAt = 0;
    /** The leaf as computed here: under it the receipt is kept. */
    this.leaf = String(proof.leaf);
    /** @type {InclusionVerdict | null} */
    this.inclusion = null;
    /** True when the tab had no more to show than this. */
    this.exhausted = false;
    /** @type {Promise<Why> | null} */
    this.reasons = null;
  }

  /** @returns {Promise<Why>} why each video is in it; asked for once, and again after a failure */
  why() {
    this.reasons ??= get(`/api/slates/${this.leaf}/why`).catch((error) => {
      this.reasons = null;
      throw error;
    });
    return this.reasons;
  }

  /** Check the answer itself, keep its receipt, then ask the ledger in the background until it holds the entry. */
  async check() {
    if (!(await canCheck())) {
      this.#turn("unknown", "This browser lacks the parts to check it.");
      return;
    }
    const { proof, items, tab, nonce } = this;
    const lines = items.map(({ score, source, video }) => ({ score, source, video: video.video_id }));
    const keys = await trustedKeys();
    const ledger = await pin(String(proof.origin), keys);
    const verdict = await checkSlate(lines, proof, keys && keys.ledger, ledger.ledgerKeys);
    this.leaf = toHex(await leafHash(utf8(String(proof.entry))));
    this.checkedAt = Date.now();
    const wrong = verdict.steps.find(({ state }) => state === "failed");
    const { entry, opening, inputs_digest, promise, vkey, origin } = proof;
    /** @type {Receipt} */
    const receipt = {
      leaf: this.leaf, at: this.checkedAt, tab, videos: items.length, entry, opening, inputs_digest, slate: lines, promise, vkey, origin, by: verdict.by, nonce,
      place: null, checked: null, failures: wrong ? withFailure([], ownFinding(wrong), this.checkedAt) : [],
    };
    await keepReceipt(receipt);
    // Only now: who leaves the page as soon as it says that the slate holds has its receipt.
    if (wrong) this.#turn("failed", wrong.detail);
    else if (verdict.held) this.#turn("held", "");
    else this.#turn("unknown", verdict.steps.find(({ state }) => state === "unknown")?.detail ?? "");
    this.settle(receipt, ledger);
    if (!wrong) void this.#follow(receipt, ledger, keys?.witnesses ?? []);
  }

  /**
   * Take over what is known of the receipt by now: what does not hold is said here as well.
   * @param {Receipt} receipt
   * @param {Ledger | undefined} ledger
   */
  settle(receipt, ledger) {
    const { state, failures } = standing(receipt, ledger);
    if (state === "failed" && this.state !== "failed") this.#turn("failed", failures[0].words);
  }

  /**
   * @param {Receipt} receipt
   * @param {Ledger} ledger
   * @param {string[]} witnesses vkeys of the roster
   */
  async #follow(receipt, ledger, witnesses) {
    const vkeys = ledger.ledgerKeys.length ? ledger.ledgerKeys : [receipt.vkey];
    for (let attempt = 0; attempt < 12; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(700 * 1.5 ** attempt, 8000)));
      let change;
      try {
        const answer = await fetchPlace(receipt.leaf);
        this.inclusion = answer && (await checkInclusion(receipt.leaf, answer, vkeys, ledger.pinnedAt ? ledger.witnessKeys : witnesses));
        change = answer && this.inclusion ? placing(answer, this.inclusion) : absent(receipt.by, receipt.at);
      } catch {
        continue;
      }
      await amend(new Map([[receipt.leaf, change]]));
      receipt = change(receipt);
      const [wrong] = receipt.failures;
      if (wrong) {
        this.#turn("failed", wrong.words);
        return;
      }
      if (!this.inclusion) continue;
      this.#turn(this.state, this.words);
      // Witnesses may sign a moment after the ledger does; ask again a few times for theirs.
      if (attempt > 6 || this.inclusion.witnesses.every(({ state }) => state !== "absent")) return;
    }
  }

  /** @param {Slate["state"]} state @param {string} words */
  #turn(state, words) {
    this.state = state;
    this.words = words;
    this.dispatchEvent(new Event("change"));
  }
}

/** Numbers of requests that were not answered, by tab: they are asked with again, so that no cell can try out another. */
const unanswered = new Map();

/**
 * Ask the cell for one slate and begin to check it.
 * @param {string} tab for_you, following or newest
 * @returns {Promise<Slate>}
 */
export async function fetchSlate(tab) {
  // Every draw of the slate will follow from it.
  const nonce = unanswered.get(tab) ?? toHex(crypto.getRandomValues(new Uint8Array(16)));
  unanswered.delete(tab);
  const answer = await get(`/api/feed?tab=${tab}&k=10&nonce=${nonce}`).catch((error) => {
    unanswered.set(tab, nonce);
    throw error;
  });
  const slate = new Slate(answer.items, answer.proof, tab, nonce);
  slate.exhausted = Boolean(answer.exhausted);
  for (const item of slate.items) item.slate = slate;
  void slate.check();
  return slate;
}
