"use strict";
(() => {
  const $ = (query, within = document) => [...within.querySelectorAll(query)];
  document.body.classList.remove("no-script");

  // Claims by verdict: one button at a time, none shows all.
  const filters = $("[data-filter]");
  for (const button of filters) button.addEventListener("click", () => {
    const on = button.classList.toggle("on");
    for (const other of filters) if (other !== button) other.classList.remove("on");
    for (const one of filters) one.setAttribute("aria-pressed", String(one.classList.contains("on")));
    for (const item of $("[data-verdict]")) item.hidden = on && item.dataset.verdict !== button.dataset.filter;
    if (on) for (const fold of $("#glance ~ details")) fold.open = $("[data-verdict]", fold).some((claim) => !claim.hidden);
    for (const sentence of $("[data-sentence]")) sentence.hidden = $("[data-verdict]", sentence).every((claim) => claim.hidden);
  });

  // A method's row and its marks in the figures of its task.
  for (const button of $("[data-hide]")) button.addEventListener("click", () => {
    const section = button.closest("main > section"), off = section.classList.toggle(`hide-${button.dataset.hide}`);
    for (const same of $(`[data-hide="${button.dataset.hide}"]`, section)) same.setAttribute("aria-pressed", String(!off));
  });
  for (const button of $("[data-full]")) button.addEventListener("click", () => {
    const full = document.getElementById(button.dataset.full).classList.toggle("full");
    button.setAttribute("aria-expanded", String(full));
  });

  const number = (text) => { const found = parseFloat(text.replace(/[,+≥≤]/g, "").replace("−", "-")); return Number.isNaN(found) ? null : found; };
  const before = (a, b) => {
    const [x, y] = [number(String(a)), number(String(b))];
    return x !== null && y !== null ? x - y : (x === null) - (y === null) || String(a).localeCompare(String(b));
  };
  const mark = (head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    return down ? -1 : 1;
  };
  for (const button of $(".board thead th button")) button.addEventListener("click", () => {
    const head = button.closest("th"), column = head.cellIndex, way = mark(head);
    for (const body of head.closest("table").tBodies) {
      const rows = $("tr[data-m]:not(.of-cell)", body).map((row) => [row, ...$(`tr.of-cell[data-m="${row.dataset.m}"]`, body)]);
      rows.sort((a, b) => way * before(a[0].cells[column].textContent, b[0].cells[column].textContent));
      body.append(...rows.flat());
    }
  });

  // All trials: [id, experiment, method, seed, status, seconds, parameters], words by their place.
  const { words, rows } = JSON.parse(document.getElementById("trial-rows").textContent);
  const table = document.querySelector("table.trials"), status = document.getElementById("trial-status");
  const asked = document.getElementById("trial-words"), all = document.getElementById("trial-all");
  const FEW = 50;
  let trials = rows.map(([id, experiment, method, seed, state, seconds, params]) => [id, words[experiment], words[method], seed, words[state], seconds ?? "–", words[params]]);
  let most = FEW;
  for (const state of [...new Set(trials.map((row) => row[4]))].sort()) status.add(new Option(state, state));
  const show = () => {
    const wanted = asked.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = trials.filter((row) => (!status.value || row[4] === status.value) && wanted.every((word) => row.join(" ").toLowerCase().includes(word)));
    table.tBodies[0].replaceChildren(...found.slice(0, most).map((row) => {
      const tr = document.createElement("tr");
      row.forEach((value, place) => { const td = tr.insertCell(); td.textContent = value; td.className = place === 0 ? "mono whole" : place === 3 || place === 5 ? "right" : ""; });
      return tr;
    }));
    document.getElementById("trial-count").textContent = `${Math.min(most, found.length).toLocaleString("en")} of ${found.length.toLocaleString("en")} shown`;
    all.hidden = found.length <= most;
  };
  $("thead th", table).forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const way = mark(head);
    trials = [...trials].sort((a, b) => way * before(a[column], b[column]));
    show();
  }));
  asked.addEventListener("input", show);
  status.addEventListener("input", show);
  all.addEventListener("click", () => { most = Infinity; show(); });
  show();
})();
