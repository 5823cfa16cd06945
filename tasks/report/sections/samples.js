// Any two models instead of the pairs that the page begins with. Texts go in as text, never as markup.
(() => {
  const get = (id) => document.getElementById(id);
  if (!get("samples-data")) return;
  const data = JSON.parse(get("samples-data").textContent);
  const [first, second] = [get("samples-first"), get("samples-second")];

  const element = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  const isRight = (benchmark, model) => {
    const bits = atob(benchmark.right[model]);
    return (place) => (bits.charCodeAt(place >> 3) >> (7 - (place & 7))) & 1;
  };

  const aloneRight = (benchmark, model, other) => {
    const [yes, no] = [isRight(benchmark, model), isRight(benchmark, other)];
    return [...benchmark.numbers.keys()].filter((place) => yes(place) && !no(place));
  };

  const sideOf = (benchmark, model, other) => {
    const places = aloneRight(benchmark, model, other);
    const among = new Set(places);
    const kept = (question) => among.has(question.place) && model in question.replies && other in question.replies;
    return { model, places, shown: benchmark.questions.filter(kept).slice(0, data.each) };
  };

  const start = (text) => {
    const letters = [...text];
    return letters.length > 100 ? `${letters.slice(0, 99).join("")}…` : text;
  };

  const texts = (parts) =>
    element("dl", {}, ...parts.flatMap(([label, text]) => [
      element("dt", {}, label), element("dd", {}, element("pre", {}, text)),
    ]));

  const answer = (question, model) => {
    const [verdict, parts] = question.replies[model];
    const mark = element("span", { class: verdict === "right" ? "right" : "wrong" }, verdict);
    const heading = element("p", {}, element("b", {}, data.models[model]), " ", mark);
    return element("div", { class: "answer" }, heading, texts(parts));
  };

  const sample = (id, benchmark, question, side, models) => {
    const title = `question ${benchmark.numbers[question.place]}: ${data.models[side.model]} alone `;
    const asked = texts([["asked", question.asked], ["expected", question.expected]]);
    const answers = element("div", { class: "answers" }, ...models.map((model) => answer(question, model)));
    return element("details", { class: "sample" },
      element("summary", {}, title, element("small", {}, start(question.asked))), element("div", { id }, asked, answers));
  };

  const numbers = (benchmark, side, idOf) => {
    const shown = new Set(side.shown.map((question) => question.place));
    const each = side.places.flatMap((place) => {
      const number = String(benchmark.numbers[place]);
      return [shown.has(place) ? element("a", { href: `#${idOf(number)}` }, number) : number, " "];
    });
    return [
      element("dt", {}, `${data.models[side.model]} alone`),
      element("dd", {}, ...(each.length ? each : ["none"])),
    ];
  };

  const commandOf = (names, benchmark) => {
    const [name, other] = names;
    const page = `${name}-${other}-${benchmark}.html`;
    return `python -m tasks.samples ${name} ${benchmark} --against ${other} --differ --page ${page}`;
  };

  const comparison = (benchmark, models, id) => {
    const idOf = (number) => `${id}.${benchmark.name}.${number}`;
    const sides = [sideOf(benchmark, models[0], models[1]), sideOf(benchmark, models[1], models[0])];
    const samples = sides.flatMap((side) => side.shown.map((question) =>
      sample(idOf(benchmark.numbers[question.place]), benchmark, question, side, models)));
    const command = commandOf(models.map((model) => data.models[model]), benchmark.name);
    const counts = sides.map((side) => `${data.models[side.model]} alone: ${side.places.length}`).join("; ");
    const heading = [element("h4", {}, benchmark.name), element("p", {}, counts)];
    if (!sides.some((side) => side.places.length)) return heading;
    const list = element("dl", { class: "numbers" }, ...sides.flatMap((side) => numbers(benchmark, side, idOf)));
    const all = element("details", {}, element("summary", {}, "All by number"), list);
    return [...heading, ...samples, all, element("pre", { class: "command" }, command)];
  };

  const show = (models) => {
    const names = models.map((model) => data.models[model]);
    const id = `samples.${names.join(".")}`;
    const both = data.benchmarks.filter((benchmark) => models.every((model) => model in benchmark.right));
    const blocks = both.flatMap((benchmark) => comparison(benchmark, models, id));
    const none = element("p", { class: "note" }, "There is no benchmark whose answers of both are at hand.");
    const shown = blocks.length ? blocks : [none];
    const pair = element("article", { class: "pair", id }, element("h3", {}, names.join(" and ")), ...shown);
    pair.querySelector(".sample")?.setAttribute("open", "");
    get("samples-pairs").replaceChildren(pair);
    [first.value, second.value] = names;
    const counts = [models, [...models].reverse()].map(([model, other]) =>
      both.reduce((sum, benchmark) => sum + aloneRight(benchmark, model, other).length, 0));
    const status = `${names[0]} alone: ${counts[0]}; ${names[1]} alone: ${counts[1]}`;
    get("samples-status").textContent = both.length ? status : "";
    return pair;
  };

  // A choice has an address of its own: #samples.FIRST.SECOND, and .BENCHMARK.NUMBER for a question in it.
  const follow = () => {
    const [section, ...names] = location.hash.slice(1).split(".");
    const models = names.slice(0, 2).map((name) => data.models.indexOf(name));
    if (section !== "samples" || models.length < 2 || models.includes(-1) || models[0] === models[1]) return;
    const id = `samples.${names.slice(0, 2).join(".")}`;
    const pair = get("samples-pairs").firstElementChild.id === id ? get(id) : show(models);
    const target = get(["samples", ...names].join(".")) ?? pair;
    const folded = target.closest("details");
    if (folded) folded.open = true;
    (folded ?? target).scrollIntoView();
    const title = folded?.querySelector("summary") ?? target.querySelector("h3");
    if (!folded) title.tabIndex = -1; // a reader goes on from what the link led to, and not from the link
    title.focus({ preventScroll: true });
  };

  // The other box gives way where both would name the same model.
  const choose = (changed, other) => () => {
    if (changed.value === other.value) {
      other.value = data.models.find((name) => name !== changed.value);
    }
    show([first, second].map((box) => data.models.indexOf(box.value)));
    history.replaceState(null, "", `#samples.${first.value}.${second.value}`);
  };

  const link = (cell, row, column) => {
    if (!/\d/.test(cell.textContent)) return; // the model itself, or one with which it shares no benchmark
    const href = `#samples.${data.models[row]}.${data.models[column]}`;
    cell.replaceChildren(element("a", { href }, cell.textContent));
  };

  show(get("samples-pairs").firstElementChild.id.split(".").slice(1).map((name) => data.models.indexOf(name)));
  first.addEventListener("change", choose(first, second));
  second.addEventListener("change", choose(second, first));
  for (const [row, { cells }] of [...get("samples-alone").tBodies[0].rows].entries()) {
    [...cells].slice(1).forEach((cell, column) => link(cell, row, column));
  }
  get("samples-choice").hidden = false;
  addEventListener("hashchange", follow);
  follow();
})();
