"use strict";

// Tables whose columns sort: each heading becomes a button, and the sorted one says which way by aria-sort.

function key(row, column, type) {
  const cell = row.cells[column];
  const text = cell.dataset.key ?? cell.textContent.trim();
  if (text === "" || text === "–") return null;
  return type === "number" ? Number(text) : text;
}

function compare(one, other, type) {
  return type === "number" ? one - other : one.localeCompare(other, "en", { numeric: true });
}

function sort(table, rows, header) {
  const { sort: type, first } = header.dataset;
  const column = header.cellIndex;
  const opposite = { ascending: "descending", descending: "ascending" };
  const now = header.getAttribute("aria-sort");
  const direction = now ? opposite[now] : first ?? "ascending";
  const known = rows.filter((row) => key(row, column, type) !== null);
  const missing = rows.filter((row) => key(row, column, type) === null);
  const sign = direction === "ascending" ? 1 : -1;
  // from the order of the page, so that the same click always gives the same table
  known.sort((one, other) => sign * compare(key(one, column, type), key(other, column, type), type));
  table.tBodies[0].append(...known, ...missing);
  for (const each of header.parentElement.cells) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
  table.toggleAttribute("data-sorted", [...table.tBodies[0].rows].some((row, place) => row !== rows[place]));
}

function makeSortable(table) {
  const rows = [...table.tBodies[0].rows];
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, rows, header));
    header.append(button);
  }
  const hint = document.createElement("span");
  hint.className = "hidden";
  hint.textContent = "; the buttons in the headings sort it";
  table.caption.firstElementChild.append(hint);
}

document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
