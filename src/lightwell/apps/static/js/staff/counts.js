// Counts for staff who may see no person's data: one question about one stretch of time, answered with noise.

import { ApiProblem, get, post } from "../api.js";
import { el, fill, find, notice } from "../dom.js";
import { sitDown } from "./bar.js";

const QUESTIONS = /** @type {Record<string, string>} */ ({
  accounts_active: "How many people were active",
  views_by_hour: "How many people watched, by hour (UTC)",
  views_by_hashtag: "How many people watched, by hashtag",
  finishes_by_hashtag: "How many people watched to the end, by hashtag",
});
const LENGTHS = /** @type {Record<number, string>} */ ({ 10: "10 minutes", 60: "an hour", 1440: "a day (UTC)" });

const answer = find("#ask-answer");
const start = /** @type {HTMLInputElement} */ (find("#start"));
const minutes = /** @type {HTMLSelectElement} */ (find("#minutes"));
let least = 0;
let empty = true;

/** @param {number} at milliseconds since the epoch @returns {string} as the field takes it */
const local = (at) => new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

/** Propose the newest stretch of this length that is over. */
function propose() {
  const length = Number(minutes.value) * 60_000;
  start.value = local(Math.floor(Date.now() / length) * length - length);
  start.step = String(Number(minutes.value) === 1440 ? 60 : Number(minutes.value) * 60);
}

/** @param {number} left @param {number} budget */
function showBudget(left, budget) {
  find("#left").textContent = `${(left / 1000).toFixed(1)} of ${(budget / 1000).toFixed(1)} ε`;
  const meter = /** @type {HTMLMeterElement} */ (find("#budget"));
  meter.max = budget;
  meter.value = left;
}

/** @param {Record<string, any>} answered as POST /api/aggregates answers */
function card(answered) {
  const groups = Object.entries(answered.counts);
  const most = Math.max(1, ...groups.map(([, number]) => Number(number ?? 0)));
  const scale = Number(answered.scale.split("/")[0]) / Number(answered.scale.split("/")[1] ?? 1);
  const from = new Date(answered.start).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return el("article", { class: "card stack is-tight count-card" },
    el("header", {}, el("h3", {}, QUESTIONS[answered.question] ?? answered.question), el("p", { class: "small quiet" }, `${from}, ${LENGTHS[answered.minutes] ?? `${answered.minutes} minutes`}`)),
    el("table", { class: "counts" },
      el("thead", { class: "unseen" }, el("tr", {}, el("th", { scope: "col" }, "Group"), el("th", { scope: "col" }, "People, with noise"))),
      el("tbody", {}, ...groups.map(([group, number]) => {
        const bar = el("span", { class: "count-bar" });
        bar.style.setProperty("--part", String(Number(number ?? 0) / most));
        return el("tr", {}, el("th", { scope: "row" }, answered.question.endsWith("hashtag") ? `#${group}` : group === "accounts" ? "people" : answered.question === "views_by_hour" ? `${group}:00` : group),
          el("td", {}, number === null ? el("span", { class: "quiet" }, `fewer than ${least}`) : el("span", { class: "count" }, Number(number).toLocaleString("en"), bar)));
      }))),
    el("p", { class: "tiny quiet" }, `Nine in ten answers are within ${Math.round(scale * Math.log(10))} of the truth. ε ${(answered.epsilon / 1000).toFixed(1)}; ${answered.spent ? `it cost you ${(answered.spent / 1000).toFixed(1)}` : "you had asked this before, and it cost nothing"}.`));
}

find("#ask").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  const given = new FormData(/** @type {HTMLFormElement} */ (find("#ask")));
  const length = Number(given.get("minutes"));
  const at = Math.floor(new Date(String(given.get("start"))).getTime() / (length * 60_000)) * length * 60_000;
  try {
    const answered = await post("/api/aggregates", { question: given.get("question"), start: at, minutes: length });
    fill(answer);
    if (empty) fill(find("#answers"));
    empty = false;
    find("#answers").prepend(card(answered));
    const { budget } = await get("/api/aggregates");
    showBudget(answered.left, budget);
  } catch (error) {
    const problem = /** @type {ApiProblem} */ (error);
    fill(answer, notice("breach", problem.slug === "refused" ? "Refused." : "Not asked.", problem.slug === "refused" ? `${problem.message} The refusal is in the ledger.` : problem.message));
  }
});
minutes.addEventListener("change", propose);

try {
  await sitDown();
  const rules = await get("/api/aggregates");
  least = rules.least_count;
  fill(find("#question"), ...rules.questions.map((/** @type {string} */ id) => el("option", { value: id }, QUESTIONS[id] ?? id)));
  fill(minutes, ...rules.minutes.map((/** @type {number} */ length) => el("option", { value: String(length) }, LENGTHS[length] ?? `${length} minutes`)));
  propose();
  showBudget(rules.left, rules.budget);
  find("#budget-words").textContent = `Each new question costs ${(rules.cost / 1000).toFixed(1)}; the budget is whole again after ${rules.period_days} days.`;
  find("#desk").hidden = false;
} catch (error) {
  if (error instanceof ApiProblem && error.status === 401) location.assign("/staff/sign-in");
  else fill(find("#desk-trouble"), notice("breach", "The desk could not be opened.", error instanceof Error ? error.message : ""));
}
