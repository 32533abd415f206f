"use strict";
// What the page does beyond being read: sort tables, show only some encoders and environments, tell of a point.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Sorting: a button in each head cell of a sortable table. The first press puts the best on top, where a column has one
// (data-best: high or low), the second turns that round, and a third gives the table's own order back.
const number = (text) => text === "" ? NaN : Number(text.replace("\u2212", "-").replace(/[\u202f,]/g, ""));

function sortKey(unit, column) {
  const row = unit.rows ? unit.rows[0] : unit;
  const cell = row.cells[column];
  return cell ? cell.dataset.value ?? cell.textContent.trim() : "";
}

function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [number(a), number(b)];
  if (!isNaN(x) && !isNaN(y)) return x - y;
  if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1; // words after numbers
  return a.localeCompare(b, "en", { numeric: true });
}

for (const table of all("table.sortable")) {
  const pairs = table.classList.contains("pairs"); // its units are bodies of several rows, not rows
  const parents = pairs ? [table] : [...table.tBodies];
  const given = new Map(parents.map((parent) => [parent, [...(pairs ? table.tBodies : parent.rows)]]));
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const orders = ["ascending", "descending"];
    if (head.dataset.best === "high") orders.reverse();
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = orders[orders.indexOf(head.getAttribute("aria-sort")) + 1]; // none after the last
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      for (const [parent, units] of given) {
        const keyed = units.map((unit) => [sortKey(unit, column), unit]);
        const blank = ([key]) => key === ""; // stays last either way
        const sign = order === "descending" ? -1 : 1;
        if (order) keyed.sort((a, b) => (blank(a) || blank(b) ? 1 : sign) * compare(a[0], b[0]));
        parent.append(...keyed.map(([, unit]) => unit));
      }
    });
  });
}

// A table that is wider than the page says so.
const watch = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    const box = target.closest(".scroll");
    box.classList.toggle("cut", box.scrollWidth > box.clientWidth + 1);
  }
});
for (const box of all(".scroll")) for (const part of [box, box.firstElementChild]) watch.observe(part);

// What is led to stands below the bar, however high that is.
const bar = document.querySelector(".bar");
new ResizeObserver(() => {
  document.documentElement.style.scrollPaddingTop = `${bar.offsetHeight + 12}px`;
}).observe(bar);

// Points: the trial that each stands for, found by `encoder|environment|seed`.
const trials = JSON.parse(document.getElementById("trials").textContent);
const points = new Map();
for (const element of all("[data-point]")) {
  const name = element.dataset.point;
  const cut = name.lastIndexOf("|");
  const trial = trials[name.slice(0, cut)];
  if (!trial) continue;
  const value = name.slice(cut + 1).replace("-", "\u2212");
  const words = `${trial.encoder}, ${trial.environment}, seed ${trial.seed}: ${value}`;
  const text = `${words}\ncommit ${trial.commit}, ${trial.precision}`;
  points.set(element, { ...trial, text });
  Object.assign(element.dataset, { encoder: trial.encoder, environment: trial.environment });
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", text);
}

const tip = Object.assign(document.createElement("div"), { id: "tip", hidden: true });
tip.style.whiteSpace = "pre-line";
tip.setAttribute("aria-hidden", "true"); // the point itself carries the same words
document.body.append(tip);

function tell(element) {
  const point = points.get(element);
  tip.hidden = !point;
  if (!point) return;
  tip.textContent = point.text;
  const box = element.getBoundingClientRect();
  const left = Math.min(box.right + 8, document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left) + scrollX}px`;
  tip.style.top = `${Math.max(8, box.top - tip.offsetHeight - 4) + scrollY}px`;
}

// One stop of the Tab key a figure; the arrow keys go from point to point, Enter or a click to the trial's row.
for (const svg of all(".panel svg")) {
  const own = all("[data-point]", svg).filter((element) => points.has(element));
  if (!own.length) continue;
  svg.setAttribute("role", "group"); // its points can be reached, which an image's parts cannot
  const reach = (element) => own.forEach((other) => other.setAttribute("tabindex", other === element ? "0" : "-1"));
  reach(own[0]);
  svg.addEventListener("keydown", (event) => {
    const here = event.target.closest("[data-point]");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") tip.hidden = true;
    if (event.key === "Enter") location.hash = points.get(here).anchor;
    if (!step) return;
    event.preventDefault();
    const shown = own.filter((element) => !element.classList.contains("off"));
    const next = shown[(shown.indexOf(here) + step + shown.length) % shown.length];
    reach(next);
    next.focus();
  });
  const over = (event) => tell(event.target.closest("[data-point]"));
  const out = () => { tip.hidden = true; };
  const handlers = { mouseover: over, focusin: over, mouseout: out, focusout: out };
  for (const [name, handler] of Object.entries(handlers)) svg.addEventListener(name, handler);
  svg.addEventListener("click", (event) => {
    const point = points.get(event.target.closest("[data-point]"));
    if (point) location.hash = point.anchor;
  });
}

// Filters: whatever carries data-encoder, data-other (of a pair) or data-environment is shown while its box is ticked:
// rows, columns, sentences, panels, and what figures draw of an agent.
const UNFILTERED = "Still of all: the verdict, ranks, p values, what averages over environments, notes and axes.";
const filters = document.getElementById("filters");
if (filters) {
  filters.hidden = false;
  const boxes = all("input", filters);
  const showAll = document.getElementById("show-all");
  const show = () => {
    const off = { encoder: new Set(), environment: new Set() };
    for (const box of boxes) if (!box.checked) off[box.dataset.filter].add(box.value);
    for (const element of all("[data-encoder], [data-environment]")) {
      const { encoder, other, environment } = element.dataset;
      element.classList.toggle("off", off.encoder.has(encoder) || off.encoder.has(other) || off.environment.has(environment));
    }
    const parts = Object.entries(off).filter(([, names]) => names.size).map(([kind, names]) => {
      const total = boxes.filter((box) => box.dataset.filter === kind).length;
      return `${total - names.size} of ${total} ${{ encoder: "agents", environment: "environments" }[kind]}`;
    });
    document.getElementById("shown").textContent = parts.length ? `Shown: ${parts.join(", ")}. ${UNFILTERED}` : "";
    showAll.hidden = !parts.length;
  };
  filters.addEventListener("change", show);
  showAll.addEventListener("click", () => {
    for (const box of boxes) box.checked = true;
    show();
  });
}

// A link to a folded place opens it, one to a curve shows its whole panel; paper has everything open.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  target?.closest(".panel")?.scrollIntoView();
  if (target?.matches("tbody")) all("details", target).slice(0, 1).forEach((details) => { details.open = true; });
}
addEventListener("hashchange", openTarget);
addEventListener("load", openTarget);
let folded = [];
addEventListener("beforeprint", () => {
  folded = all("main details:not([open])");
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});
