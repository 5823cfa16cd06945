// What would trouble a screen reader or a keyboard, by kind; the tests expect nothing.
() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (nodes) => nodes.map((node) => node.outerHTML.slice(0, 200));
  const textOf = (id) => document.getElementById(id)?.textContent ?? "";
  const labels = (node) => (node.getAttribute("aria-labelledby") ?? "").split(" ").map(textOf).join(" ").trim();
  const nameless = (node) => !labels(node) && !node.getAttribute("aria-label");
  const ids = all("[id]").map((node) => node.id);
  const scrolls = (node) => ["auto", "scroll"].includes(getComputedStyle(node).overflowX)
    && node.scrollWidth > node.clientWidth + 1;
  return {
    "no language": shown(all("html:not([lang])")),
    "ids that occur twice": ids.filter((id, place) => ids.indexOf(id) !== place),
    "tables without a caption": shown(all("table").filter((table) => !table.caption?.textContent.trim())),
    "headings of no row or column": shown(all("th").filter((cell) => !["row", "col"].includes(cell.scope))),
    "rows without a heading": shown(all("tbody tr").filter((row) => !row.querySelector("th[scope=row]"))),
    "pictures that are none": shown(all("svg").filter((picture) => picture.getAttribute("role") !== "img")),
    "things without a name": shown(all("svg, [role=region], [role=group], section, nav").filter(nameless)),
    "labels that are not there": shown(all("[aria-labelledby]").filter((node) => !labels(node))),
    "boxes that no key scrolls": shown(all("*").filter((node) => scrolls(node) && node.tabIndex < 0)),
  };
}
