"use strict";

// Rows that are found without a filter.
const SEEN_AT_ONCE = 8;

// "67.84 ± 0.87", "+0.14", "3/5" and "12 %" sort by their first number; all else as text.
const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?(?=$|[\s/%(])/i;

function valueOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = text.match(NUMBER);
  return { text, number: number ? parseFloat(number[0]) : null };
}

function compare(a, b) {
  if (a.number !== null && b.number !== null) return a.number - b.number;
  return a.text.localeCompare(b.text);
}

// Empty cells stay last in either direction.
function sortBy(table, column, direction) {
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, value: valueOf(row, column) }));
  rows.sort((a, b) => {
    if (!a.value.text || !b.value.text) return !a.value.text - !b.value.text;
    return direction * compare(a.value, b.value);
  });
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascends = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascends ? "ascending" : "descending");
      sortBy(table, column, ascends ? 1 : -1);
    });
  });
}

// Every word has to stand in the row.
function makeFilterable(table, before) {
  const input = document.createElement("input");
  input.type = "search";
  input.className = "filter";
  input.placeholder = "Filter rows";
  input.setAttribute("aria-label", "Filter the rows of this table");
  before.before(input);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

for (const table of document.querySelectorAll("#report table")) {
  const box = document.createElement("div");
  box.className = "scroll";
  table.before(box);
  box.append(table);
  const rows = table.tHead && table.tBodies.length ? table.tBodies[0].rows.length : 0;
  if (rows > 1) makeSortable(table);
  if (rows > SEEN_AT_ONCE) makeFilterable(table, box);
}

const dialog = document.getElementById("enlarged");
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    dialog.querySelector("img")?.remove();
    dialog.append(button.querySelector("img").cloneNode());
    dialog.showModal();
  });
}
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
