"use strict";
// Rows: task, scale, claim, kind, verdict in words, estimate, region, statement, the paper's number, whether it is primary.
(() => {
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const body = document.querySelector("#claims tbody"), heads = [...document.querySelectorAll("#claims th")];
  const filters = { verdict: 4, kind: 3, scale: 1, paper: 0 };
  const PAPER = 2, columns = [4, 2, 0, 1, 5, 6, 8], numbers = new Set([5, 8]);
  const fields = Object.fromEntries(Object.keys(filters).map((name) => [name, document.getElementById(name)]));
  const words = document.getElementById("words"), sort = document.getElementById("sort");
  const { compare } = new Intl.Collator("en", { numeric: true });
  let sorted = { column: PAPER, down: false };

  for (const [name, place] of Object.entries(filters)) {
    for (const value of [...new Set(rows.map((row) => row[place]))].sort()) fields[name].add(new Option(value, value));
  }
  heads.forEach((head, column) => sort.add(new Option(head.textContent, column)));
  const asked = new URLSearchParams(location.search);
  for (const name of Object.keys(filters)) if (asked.has(name)) fields[name].value = asked.get(name);
  words.value = asked.get("q") || "";

  const number = (text) => { const found = parseFloat(text.replace(/[≥≤,]/g, "")); return Number.isNaN(found) ? null : found; };
  // Rows come by paper and scale, each paper's claims in its own order; what has no number stands last either way.
  const order = (a, b) => {
    const place = columns[sorted.column], way = sorted.down ? -1 : 1;
    if (!numbers.has(place)) return way * compare(a[place], b[place]);
    const [one, other] = [number(a[place]), number(b[place])];
    return one === null || other === null ? (one === null) - (other === null) : way * (one - other);
  };
  const cell = (tr, label, text, kind) => {
    const td = tr.insertCell();
    if (label) td.dataset.label = label;
    const inner = kind ? td.appendChild(document.createElement(kind)) : td;
    inner.textContent = text;
    return inner;
  };
  const show = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((row) => Object.entries(filters).every(([name, place]) => !fields[name].value || row[place] === fields[name].value)
      && wanted.every((word) => row.join(" ").toLowerCase().includes(word))).sort(order);
    body.replaceChildren();
    for (const row of found) {
      const tr = body.insertRow();
      cell(tr, "", row[4], "span").className = `badge ${row[4].replaceAll(" ", "-")}`;
      const link = cell(tr, "", `${row[2]}: ${row[7]}`, "a");
      link.href = `papers/${row[0]}.html#${row[1]}-${row[2]}`;
      if (row[9]) link.after(" ", Object.assign(document.createElement("span"), { className: "primary", textContent: row[9] }));
      cell(tr, "paper", row[0]);
      cell(tr, "scale", row[1]);
      cell(tr, "estimate", row[5].replaceAll(", ", ",\u00a0"));
      cell(tr, "holds", row[6]);
      cell(tr, "the paper's number", row[8]);
    }
    document.getElementById("count").textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} claims`;
    sort.value = sorted.column;
    heads.forEach((head, column) => head.toggleAttribute("aria-sort", column === sorted.column));
    heads[sorted.column].setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    const query = new URLSearchParams(Object.entries(fields).filter(([, field]) => field.value).map(([name, field]) => [name, field.value]));
    if (words.value) query.set("q", words.value);
    try { history.replaceState(null, "", query.size ? `?${query}` : location.pathname); } catch { /* a page opened from a file keeps its address */ }
  };
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    sorted = { column, down: sorted.column === column && !sorted.down };
    show();
  }));
  sort.addEventListener("input", () => { sorted = { column: Number(sort.value), down: false }; show(); });
  for (const field of [words, ...Object.values(fields)]) field.addEventListener("input", show);
  show();
})();
