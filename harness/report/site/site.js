"use strict";
// Rows: task, scale, claim, kind, verdict in words, estimate, region, statement.
(() => {
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const body = document.querySelector("#claims tbody");
  const filters = { verdict: 4, kind: 3, scale: 1, paper: 0 };
  const columns = [4, 2, 0, 1, 5, 6];
  const fields = Object.fromEntries(Object.keys(filters).map((name) => [name, document.getElementById(name)]));
  const words = document.getElementById("words");
  let sorted = { column: -1, down: false };

  for (const [name, place] of Object.entries(filters)) {
    for (const value of [...new Set(rows.map((row) => row[place]))].sort()) fields[name].add(new Option(value, value));
  }
  const asked = new URLSearchParams(location.search);
  for (const name of Object.keys(filters)) if (asked.has(name)) fields[name].value = asked.get(name);
  words.value = asked.get("q") || "";

  const number = (text) => { const found = parseFloat(text.replace(/[≥≤,]/g, "")); return Number.isNaN(found) ? Infinity : found; };
  const order = (a, b) => {
    const [one, other] = [a[columns[sorted.column]], b[columns[sorted.column]]];
    const way = columns[sorted.column] === 5 ? number(one) - number(other) || 0 : one.localeCompare(other);
    return sorted.down ? -way : way;
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
    let found = rows.filter((row) => Object.entries(filters).every(([name, place]) => !fields[name].value || row[place] === fields[name].value)
      && wanted.every((word) => row.join(" ").toLowerCase().includes(word)));
    if (sorted.column >= 0) found = [...found].sort(order);
    body.replaceChildren();
    for (const row of found) {
      const tr = body.insertRow();
      cell(tr, "", row[4], "span").className = `badge ${row[4].replaceAll(" ", "-")}`;
      const link = cell(tr, "", `${row[2]}: ${row[7]}`, "a");
      link.href = `papers/${row[0]}.html#${row[1]}-${row[2]}`;
      cell(tr, "paper", row[0]);
      cell(tr, "scale", row[1]);
      cell(tr, "estimate", row[5]);
      cell(tr, "holds", row[6]);
    }
    document.getElementById("count").textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} claims`;
    const query = new URLSearchParams(Object.entries(fields).filter(([, field]) => field.value).map(([name, field]) => [name, field.value]));
    if (words.value) query.set("q", words.value);
    try { history.replaceState(null, "", query.size ? `?${query}` : location.pathname); } catch { /* a page opened from a file keeps its address */ }
  };
  document.querySelectorAll("#claims th").forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    sorted = { column, down: sorted.column === column && !sorted.down };
    document.querySelectorAll("#claims th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    show();
  }));
  for (const field of [words, ...Object.values(fields)]) field.addEventListener("input", show);
  show();
})();
