// Fetches slates one after another and checks each against its proof as it comes.

import { get } from "../api.js";
import { canCheck, checkInclusion, checkSlate } from "../verify.js";
import { keepReceipt } from "../receipts.js";
import { trustedKeys } from "../trust.js";

/** @typedef {{text: string, points: number}} Reason */
/** @typedef {import("../verify.js").Proof} Proof */
/** @typedef {import("../verify.js").Verdict} Verdict */
/** @typedef {import("../verify.js").InclusionVerdict} InclusionVerdict */
/** @typedef {Record<string, any>} Video as GET /api/videos/{id} answers */
/** @typedef {{place: number, score: number, source: string, video: Video, liked: boolean, follows: boolean, reasons: Reason[], promotion?: any, slate?: Slate}} Item */

/** One answered slate: what was shown, its proof, and how far the check has come. */
export class Slate extends EventTarget {
  /** @param {Item[]} items @param {Proof} proof @param {string} tab */
  constructor(items, proof, tab) {
    super();
    this.items = items;
    this.proof = proof;
    this.tab = tab;
    /** @type {"checking" | "held" | "failed" | "unknown"} */
    this.state = "checking";
    /** Why it is not green, in words. */
    this.words = "";
    this.checkedAt = 0;
    /** @type {Verdict | null} */
    this.verdict = null;
    /** @type {InclusionVerdict | null} */
    this.inclusion = null;
  }

  /** Check the answer itself, then ask the ledger in the background until it holds the entry. */
  async check() {
    if (!(await canCheck())) {
      this.#turn("unknown", "This browser lacks the parts to check it.");
      return;
    }
    const lines = this.items.map(({ score, source, video }) => ({ score, source, video: video.video_id }));
    const keys = await trustedKeys();
    this.verdict = await checkSlate(lines, this.proof, keys && keys.ledger);
    this.checkedAt = Date.now();
    const failed = this.verdict.steps.find(({ state }) => state === "failed");
    if (failed) this.#turn("failed", failed.detail);
    else if (this.verdict.held) this.#turn("held", "");
    else this.#turn("unknown", this.verdict.steps.find(({ state }) => state === "unknown")?.detail ?? "");
    const { leaf, promise, vkey, origin, entry } = this.proof;
    keepReceipt({ leaf, promise, vkey, origin, entry, at: this.checkedAt, tab: this.tab, videos: this.items.length });
    if (!failed) void this.#follow(keys?.witnesses ?? []);
  }

  /** @param {string[]} witnesses vkeys */
  async #follow(witnesses) {
    for (let attempt = 0; attempt < 12; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(700 * 1.5 ** attempt, 8000)));
      let answer;
      try {
        answer = await get(`/ledger/proof?leaf=${this.proof.leaf}`);
      } catch {
        if (this.verdict?.by && Date.now() / 1000 > this.verdict.by + 5) {
          this.#turn("failed", "The ledger did not take the entry in by the time it promised.");
          return;
        }
        continue;
      }
      this.inclusion = await checkInclusion(this.proof.leaf, answer, this.proof.vkey, witnesses);
      const failed = this.inclusion.steps.find(({ state }) => state === "failed");
      if (failed) this.#turn("failed", failed.detail);
      else this.#turn(this.state, this.words);
      // Witnesses sign a moment after the ledger does; ask again a few times for theirs.
      if (failed || attempt > 6 || this.inclusion.witnesses.every(({ at }) => at !== null)) return;
    }
  }

  /** @param {Slate["state"]} state @param {string} words */
  #turn(state, words) {
    this.state = state;
    this.words = words;
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * Ask the cell for one slate and begin to check it.
 * @param {string} tab for_you, following or newest
 * @returns {Promise<Slate>}
 */
export async function fetchSlate(tab) {
  const answer = await get(`/api/feed?tab=${tab}&k=10`);
  const slate = new Slate(answer.items, answer.proof, tab);
  for (const item of slate.items) item.slate = slate;
  void slate.check();
  return slate;
}
