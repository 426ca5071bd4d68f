// Sends the forms of sign-up and sign-in, and puts each trouble beside the field it is about.

import { ApiProblem, post } from "./api.js";
import { fill, find, notice } from "./dom.js";

/** @type {HTMLFormElement} */
const form = find("[data-account-form]");
const trouble = find("[data-trouble]", form);
const button = find("button[type=submit]", form);

/** Only an address of this site may be gone to after sign-in. */
function next() {
  const asked = new URLSearchParams(location.search).get("next") ?? "/";
  return /^\/(?![/\\])/.test(asked) ? asked : "/";
}

/** @param {string} name @param {string} words empty to clear @returns {boolean} true if the form has that field */
function mark(name, words) {
  const input = form.elements.namedItem(name);
  const line = /** @type {HTMLElement | null} */ (form.querySelector(`[data-for="${CSS.escape(name)}"]`));
  if (!(input instanceof HTMLInputElement) || !line) return false;
  line.hidden = !words;
  line.textContent = words;
  line.id = `trouble-${name}`;
  if (words) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", line.id);
  } else {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
  return true;
}

/** @param {HTMLInputElement} input @returns {string} what is wrong with it, or nothing */
function wrong(input) {
  const { validity } = input;
  if (validity.valueMissing) return "This is needed.";
  if (validity.patternMismatch) return "Use small letters, digits, dot and underscore.";
  if (validity.tooShort) return `Use ${input.minLength} characters or more.`;
  if (validity.typeMismatch) return "This is not an e-mail address.";
  return validity.valid ? "" : "This cannot be used.";
}

form.addEventListener("input", (event) => mark(/** @type {HTMLInputElement} */ (event.target).name, ""));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  fill(trouble);
  const inputs = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll("input")]);
  for (const input of inputs) mark(input.name, wrong(input));
  const first = inputs.find((input) => !input.validity.valid);
  if (first) {
    first.focus();
    return;
  }
  /** @type {Record<string, string>} */
  const body = {};
  for (const input of inputs) if (input.value || input.required) body[input.name] = input.value;
  button.disabled = true;
  try {
    await post(/** @type {string} */ (form.dataset.accountForm), body);
    location.assign(next());
  } catch (error) {
    button.disabled = false;
    const problem = /** @type {ApiProblem} */ (error);
    const field = problem.document?.field ?? { "handle-taken": "handle", "email-taken": "email" }[problem.slug];
    if (field && mark(field, problem.message)) /** @type {HTMLElement} */ (form.elements.namedItem(field)).focus();
    else fill(trouble, notice("breach", "", problem.message));
  }
});
