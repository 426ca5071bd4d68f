// Keeps the page's figures live, and makes its tables sortable and exportable.
// Figures come from /api/overview each second; when something in the ledger, the verdicts or the findings
// changed, the page is fetched again and its live part replaced, so the server draws everything once.

const SECOND = 1000;
const body = document.body;
const cell = body.dataset.cell;
let stamp = body.dataset.stamp;
let skew = 0;

document.documentElement.classList.add("scripted");

function at(value, path) {
  return path.split(".").reduce((inner, key) => (inner == null ? inner : inner[key]), value);
}

function showFigures(figures) {
  for (const place of document.querySelectorAll("[data-figure]")) {
    const value = at(figures, place.dataset.figure);
    if (typeof value === "number") place.textContent = value.toLocaleString("en-GB");
  }
  const badge = document.querySelector("[data-badge]");
  const standing = figures.findings.breach + figures.findings.open;
  badge.textContent = String(standing);
  badge.hidden = standing === 0;
  const dot = document.querySelector("[data-dot]");
  if (dot) {
    const broken = figures.ledger.problems.length > 0;
    dot.className = `dot ${broken ? "is-breach" : figures.ledger.reached ? "is-proof" : "is-unknown"}`;
  }
  for (const place of document.querySelectorAll("[data-age]")) place.dataset.age = figures.ledger.grown_at;
}

function showAges() {
  for (const place of document.querySelectorAll("[data-age]")) {
    const since = Number(place.dataset.age);
    if (!since) continue;
    const seconds = Math.max(0, (Date.now() + skew) / SECOND - since);
    place.textContent =
      seconds < 10 ? `${seconds.toFixed(1)} s` : seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
  }
}

async function redraw() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = fresh.querySelector("[data-live]");
  const old = document.querySelector("[data-live]");
  const busy = old.contains(document.activeElement) && document.activeElement.matches("button, input, a");
  if (!next || busy || String(getSelection())) return;
  if (next.innerHTML !== lastDrawn) {
    lastDrawn = next.innerHTML;
    const sorts = [...old.querySelectorAll("table")].map((table) => table.dataset.sorted);
    old.replaceChildren(...next.childNodes);
    prepareTables(old);
    [...old.querySelectorAll("table")].forEach((table, place) => sorts[place] && sortTable(table, ...sorts[place].split(",")));
  }
  const head = fresh.querySelector(".page-head");
  if (head) document.querySelector(".page-head").replaceWith(head);
}

async function poll() {
  const away = document.querySelector("[data-away]");
  try {
    const answer = await fetch(`/api/overview?cell=${cell}`, { signal: AbortSignal.timeout(5 * SECOND) });
    if (!answer.ok) throw new Error(String(answer.status));
    const { at: now, cells } = await answer.json();
    skew = now * SECOND - Date.now();
    away.hidden = true;
    if (cells[cell].stamp !== stamp) {
      stamp = cells[cell].stamp;
      await redraw();
    }
    showFigures(cells[cell]);
  } catch {
    away.hidden = false;
  }
  showAges();
  setTimeout(poll, document.hidden ? 5 * SECOND : SECOND);
}

function cellText(row, column) {
  return row.cells[column]?.textContent.trim() ?? "";
}

function compare(one, other) {
  const [a, b] = [one, other].map((text) => Number(text.split(" ")[0].replaceAll(",", "") || NaN));
  return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other, "en", { numeric: true }) : a - b;
}

function sortTable(table, column, direction) {
  const rows = [...table.tBodies[0].rows];
  const sign = direction === "descending" ? -1 : 1;
  rows.sort((one, other) => sign * compare(cellText(one, column), cellText(other, column)));
  table.tBodies[0].append(...rows);
  table.dataset.sorted = `${column},${direction}`;
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    if (place === Number(column)) head.setAttribute("aria-sort", direction);
    else head.removeAttribute("aria-sort");
  });
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      sortTable(table, column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
    });
    head.replaceChildren(button);
  });
}

function exportTable(table) {
  const quote = (text) => `"${text.replace(/\s+/g, " ").trim().replaceAll('"', '""')}"`;
  const heads = [...table.tHead.rows[0].cells].map((head) => quote(head.textContent));
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((part) => quote(part.textContent)).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([[heads.join(","), ...rows].join("\r\n")], { type: "text/csv" }));
  link.download = `${table.dataset.name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), SECOND);
}

function prepareTables(root) {
  for (const table of root.querySelectorAll("table[data-sortable]")) makeSortable(table);
  for (const table of root.querySelectorAll("table[data-name]")) {
    const foot = document.createElement("p");
    foot.className = "table-foot";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "export";
    button.textContent = "Save as CSV";
    button.addEventListener("click", () => exportTable(table));
    foot.append(button);
    table.closest(".scroll").after(foot);
  }
}

async function askForAudit(button) {
  const says = document.querySelector("[data-audit-says]");
  button.disabled = true;
  const answer = await fetch(`/api/audit?cell=${cell}`, { method: "POST" });
  const { run, detail } = await answer.json();
  if (!answer.ok) {
    says.textContent = detail;
    button.disabled = false;
    return;
  }
  says.textContent = "Reading and replaying everything again.";
  const started = Date.now();
  for (;;) {
    await new Promise((resume) => setTimeout(resume, SECOND));
    const figures = await (await fetch(`/api/cells/${cell}/replay?run=${run}`)).json();
    if (figures.run === run) {
      button.blur();
      stamp = "";
      return;
    }
    says.textContent = `${figures.replayed.toLocaleString("en-GB")} slates replayed again, ${Math.round((Date.now() - started) / SECOND)} s.`;
  }
}

document.addEventListener("click", (event) => {
  const audit = event.target.closest("[data-audit]");
  if (audit) askForAudit(audit);
  const menu = event.target.closest(".menu-button");
  if (menu) {
    const open = document.querySelector(".rail-menu").classList.toggle("is-open");
    menu.setAttribute("aria-expanded", String(open));
  }
});

let lastDrawn = document.querySelector("[data-live]").innerHTML;
prepareTables(document);
showAges();
setTimeout(poll, SECOND);
