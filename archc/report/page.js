"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.getElementById("items");
  if (!root) return;
  const STEP = 100;
  const SIGNS = { right: ["✓ right", "good"], wrong: ["✗ wrong", "bad"], failed: ["! failed", "bad"] };
  const lower = data.rows.map((row) => [row[0], ...row[3], (data.details[row[0]] || {}).question || ""].join("\n").toLowerCase());
  let shown = [], opened = new Set(), limit = STEP;

  // Text goes into the page as text only: nothing here makes markup of it.
  const el = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) if (value != null) made.setAttribute(key, value);
    made.append(...children.filter((child) => child != null));
    return made;
  };

  const select = el("select", {}, ...data.filters.map(([value, label]) => el("option", { value }, label)));
  const search = el("input", { type: "search", autocomplete: "off" });
  const status = el("p", { role: "status", class: "soft" });
  const body = el("tbody");
  const more = el("button", { type: "button", class: "more" }, "Show more");
  const head = [["id", "id"], ["outcome", "state"], ...data.columns].map(([label, kind]) => el("th", { scope: "col", class: kind || null }, label));
  root.append(
    el("div", { class: "controls" }, el("label", {}, "Show", select), el("label", {}, "Search in ids, questions and answers", search)),
    status,
    el("table", {}, el("caption", {}, "Choose an item to see all that was said about it"), el("thead", {}, el("tr", {}, ...head)), body),
    more,
  );

  const facets = (one) => {
    const told = [];
    if (one.right != null) told.push(one.right ? "✓ right" : "✗ wrong");
    if (one.answer != null) told.push("answer " + one.answer);
    if (one.score != null) told.push("score " + Number(one.score).toFixed(3));
    if (one.passed != null) told.push(one.passed ? "✓ passed" : "✗ not passed");
    if (one.votes) told.push(one.votes[0] + " of " + one.votes[1] + " votes for it");
    if (one.logprob != null) told.push("log-probability " + Number(one.logprob).toFixed(3));
    if (one.truncated) told.push("cut off by max_tokens");
    if (one.abstained) told.push("abstained");
    return told.length ? el("div", { class: "chips" }, ...told.map((text) => el("span", {}, text))) : null;
  };

  const candidate = (one, texts, place) =>
    el("div", { class: "candidate" },
      el("strong", {}, "Candidate " + (place + 1)), facets(one), el("pre", {}, texts[one.text]),
      one.critique != null ? el("p", {}, "Critique") : null, one.critique != null ? el("pre", {}, texts[one.critique]) : null,
      one.reason != null ? el("p", {}, "Why") : null, one.reason != null ? el("pre", {}, texts[one.reason]) : null);

  const step = (one, texts) => {
    const place = one.path ? ", turn " + one.path : "";
    const count = one.candidates ? ": " + one.candidates.length + (one.candidates.length === 1 ? " candidate" : " candidates") : "";
    const box = el("details", {}, el("summary", {}, el("strong", {}, one.node), place + count));
    box.addEventListener("toggle", () => {
      if (!box.open || box.children.length > 1) return;
      for (const note of one.notes) box.append(el("p", { class: "note" }, note));
      if (one.asks.length) box.append(el("ul", {}, ...one.asks.map((text) => el("li", {}, text))));
      if (one.tests) box.append(el("p", {}, "Tests"), el("ol", {}, ...one.tests.map((test) => el("li", {}, texts[test]))));
      (one.candidates || []).forEach((each, i) => box.append(candidate(each, texts, i)));
    });
    return box;
  };

  const inside = (row) => {
    const detail = data.details[row[0]];
    const width = head.filter((one) => getComputedStyle(one).display !== "none").length;
    const cell = el("td", { colspan: width, class: "inside" });
    const said = data.columns.map(([label], i) => label + ": " + row[3][i]).join(" · ");
    cell.append(el("p", { class: "soft" }, said));
    if (!detail) {
      cell.append(el("p", { class: "note" }, data.missing));
    } else {
      for (const turn of [detail, ...(detail.then || [])]) {
        cell.append(el("h3", {}, "Question"), el("pre", {}, turn.question));
        if (turn.error) cell.append(el("p", { class: "note" }, turn.error));
        cell.append(el("h3", {}, "Steps"), ...turn.steps.map((one) => step(one, turn.texts)));
      }
    }
    return el("tr", {}, cell);
  };

  const line = (row) => {
    const [text, kind] = SIGNS[row[1]] || [row[1], "soft"];
    const button = el("button", { type: "button", class: "open", "aria-expanded": "false" }, row[0]);
    const made = el("tr", {}, el("th", { scope: "row", class: "id" }, button), el("td", { class: "state " + kind }, text),
      ...data.columns.map(([, kind], i) => el("td", { class: kind || null }, row[3][i])));
    const toggle = (open) => {
      button.setAttribute("aria-expanded", String(open));
      if (open) { opened.add(row[0]); made.after(inside(row)); } else { opened.delete(row[0]); made.nextSibling.remove(); }
    };
    button.addEventListener("click", () => toggle(!opened.has(row[0])));
    return [made, () => { if (opened.has(row[0])) toggle(true); }];
  };

  const draw = (from) => {
    for (const place of shown.slice(from, limit)) {
      const [made, after] = line(data.rows[place]);
      body.append(made);
      after();
    }
    more.hidden = limit >= shown.length;
    status.textContent = shown.length.toLocaleString("en") + " of " + data.rows.length.toLocaleString("en") + " items";
  };

  const refresh = () => {
    const wanted = select.value, words = search.value.trim().toLowerCase();
    shown = data.rows.map((_, i) => i).filter((i) => {
      const [, state, tags] = data.rows[i];
      return (!wanted || state === wanted || tags.includes(wanted)) && (!words || lower[i].includes(words));
    });
    limit = STEP;
    body.replaceChildren();
    draw(0);
  };

  const jump = () => {
    const match = /^#item=(.*)$/.exec(location.hash);
    if (!match) return;
    let id = match[1];
    try { id = decodeURIComponent(id); } catch { return; }
    const place = data.rows.findIndex((row) => row[0] === id);
    if (place < 0) return;
    select.value = "";
    search.value = "";
    opened.add(id);
    refresh();
    if (place >= limit) { const from = limit; limit = place + 1; draw(from); }
    const button = [...body.querySelectorAll("button.open")].find((one) => one.textContent === id);
    button.scrollIntoView({ block: "center" });
    button.focus({ preventScroll: true });
  };

  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 120); });
  select.addEventListener("change", refresh);
  more.addEventListener("click", () => { const from = limit; limit += STEP; draw(from); });
  addEventListener("hashchange", jump);
  refresh();
  jump();
})();
