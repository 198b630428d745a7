// The answers browser. Everything a model wrote enters the page through textContent, never as HTML.
"use strict";
(() => {
  const PAGE = 10;
  const root = document.getElementById("browser");
  const measures = JSON.parse(document.getElementById("data").textContent);
  const state = { measure: 0, shown: new Set(), text: "", category: "", metric: 0, verdict: "", differs: false, page: 0, hits: [], focus: -1 };

  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const option = (value, text) => {
    const node = make("option", "", text);
    node.value = value;
    return node;
  };
  const current = () => measures[state.measure];
  const textOf = (answer) => (answer === null ? null : answer[0]);
  const verdictOf = (answer, metric) => {
    const value = answer === null ? null : answer[3][metric];
    return value === null ? "unscored" : value > 0.5 ? "yes" : "no";
  };
  const sameTexts = (a, b) => a.length === b.length && a.every((answer, i) => textOf(answer) === textOf(b[i]));

  function matches(question) {
    const m = current();
    const base = m.conditions.indexOf(m.baseline);
    const chosen = [...state.shown];
    if (state.category && question.category !== state.category) return false;
    if (state.text) {
      const wanted = state.text.toLowerCase();
      const texts = [question.text, question.id, ...chosen.flatMap((c) => question.answers[c].map(textOf))];
      if (!texts.some((text) => text !== null && text.toLowerCase().includes(wanted))) return false;
    }
    const others = chosen.filter((c) => c !== base);
    if (state.differs && base >= 0 && !others.some((c) => !sameTexts(question.answers[c], question.answers[base]))) return false;
    if (!state.verdict) return true;
    if (state.verdict === "changed") {
      const verdicts = (c) => question.answers[c].map((answer) => verdictOf(answer, state.metric)).join();
      return base >= 0 && others.some((c) => verdicts(c) !== verdicts(base));
    }
    return chosen.some((c) => question.answers[c].some((answer) => verdictOf(answer, state.metric) === state.verdict));
  }

  function chip(metric, value) {
    if (value === null) return make("span", "chip gone", `${metric.id} unscored`);
    if (metric.kind !== "binary") return make("span", "chip", `${metric.id} ${Number(value.toPrecision(3))}`);
    const yes = value > 0.5;
    const tone = metric.good === null ? "" : yes === metric.good ? " yes" : " no";
    return make("span", "chip" + tone, `${metric.id} ${yes ? "yes" : "no"}`);
  }

  function drawAnswer(m, condition, answer, index, many, same) {
    const isBase = m.conditions[condition] === m.baseline;
    const box = make("article", "answer" + (isBase ? " base" : "") + (same && !isBase ? " same" : ""));
    const head = make("header");
    head.append(make("span", "", m.conditions[condition] + (many ? ` #${index + 1}` : "")));
    if (same && !isBase) head.append(make("span", "chip", "same as baseline"));
    box.append(head);
    const text = textOf(answer);
    if (answer === null) box.append(make("p", "none", "no completion"));
    else if (text === null) box.append(make("p", "none", "no text"));
    else if (text === "") box.append(make("p", "none", "empty answer"));
    else box.append(make("p", "", text));
    if (answer !== null) {
      const chips = make("div", "chips");
      if (answer[2] !== null) chips.append(make("span", "chip flag", `error: ${answer[2]}`));
      if (answer[1] === "length") chips.append(make("span", "chip flag", "truncated"));
      m.metrics.forEach((metric, i) => {
        // A damage that did not happen is not worth a chip.
        if (!metric.damage || metric.kind !== "binary" || answer[3][i] !== 0) chips.append(chip(metric, answer[3][i]));
      });
      box.append(chips);
    }
    return box;
  }

  function drawReferences(question) {
    const details = make("details", "refs");
    const count = question.correct.length + question.incorrect.length;
    details.append(make("summary", "", `${count} reference answer${count === 1 ? "" : "s"}`));
    const list = make("ul");
    question.correct.forEach((text) => list.append(make("li", "right", text)));
    question.incorrect.forEach((text) => list.append(make("li", "wrong", text)));
    details.append(list);
    return details;
  }

  function drawQuestion(question) {
    const m = current();
    const base = m.conditions.indexOf(m.baseline);
    const box = make("section", "question");
    box.tabIndex = -1;
    box.append(make("p", "where", question.category ? `${question.id} · ${question.category}` : question.id));
    box.append(make("h4", "", question.text));
    if (question.correct.length + question.incorrect.length) box.append(drawReferences(question));
    const grid = make("div", "answers");
    [...state.shown].sort((a, b) => a - b).forEach((c) => {
      const answers = question.answers[c];
      const same = base >= 0 && answers.some((a) => a !== null) && sameTexts(answers, question.answers[base]);
      answers.forEach((answer, i) => grid.append(drawAnswer(m, c, answer, i, answers.length > 1, same)));
    });
    box.append(grid);
    return box;
  }

  let list, count, previous, next;

  function draw() {
    const pages = Math.max(1, Math.ceil(state.hits.length / PAGE));
    state.page = Math.min(Math.max(state.page, 0), pages - 1);
    const start = state.page * PAGE;
    const visible = state.hits.slice(start, start + PAGE);
    list.replaceChildren(...visible.map((i) => drawQuestion(current().questions[i])));
    const total = current().questions.length;
    const range = visible.length ? `${start + 1}\u2013${start + visible.length} of ` : "";
    const filtered = state.hits.length < total ? ` (${total} in all)` : "";
    count.textContent = `${range}${state.hits.length} question${state.hits.length === 1 ? "" : "s"}${filtered}`;
    previous.disabled = state.page === 0;
    next.disabled = state.page >= pages - 1;
    state.focus = -1;
  }

  function search() {
    state.hits = [];
    current().questions.forEach((question, i) => matches(question) && state.hits.push(i));
    state.page = 0;
    draw();
  }

  function turn(step, toTop) {
    const before = state.page;
    state.page += step;
    draw();
    if (state.page !== before && toTop) root.scrollIntoView({ block: "start" });
    return state.page !== before;
  }

  function step(direction) {
    const cards = list.children;
    const target = state.focus + direction;
    if (target >= 0 && target < cards.length) state.focus = target;
    else if (turn(direction, false)) state.focus = direction > 0 ? 0 : list.children.length - 1;
    else return;
    const card = list.children[state.focus];
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "start" });
  }

  function check(label, checked, change) {
    const wrap = make("label", "pick");
    const input = make("input");
    input.type = "checkbox";
    input.checked = checked;
    input.addEventListener("change", () => change(input.checked));
    wrap.append(input, make("span", "", label));
    return wrap;
  }

  function select(title, options, change) {
    const node = make("select");
    node.setAttribute("aria-label", title);
    node.append(...options);
    node.addEventListener("change", () => { change(node.value); search(); });
    return node;
  }

  function filters(m) {
    const row = make("div", "row");
    const box = make("input");
    box.type = "search";
    box.placeholder = "Search questions and answers";
    box.setAttribute("aria-label", box.placeholder);
    let timer;
    box.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => { state.text = box.value.trim(); search(); }, 150);
    });
    row.append(box);
    const categories = [...new Set(m.questions.map((q) => q.category))].filter(Boolean).sort();
    if (categories.length) {
      const options = [option("", "all categories"), ...categories.map((c) => option(c, c))];
      row.append(select("Category", options, (value) => { state.category = value; }));
    }
    const verdicts = m.metrics.map((metric, i) => [metric, i]).filter(([metric]) => metric.kind === "binary");
    if (verdicts.length) {
      const options = [option("", "any verdict")];
      verdicts.forEach(([metric, i]) => ["yes", "no", "unscored", "changed"].forEach((verdict) => {
        options.push(option(`${i}:${verdict}`, verdict === "changed" ? `${metric.id}: differs from baseline` : `${metric.id}: ${verdict}`));
      }));
      row.append(select("Verdict in a shown condition", options, (value) => {
        const [metric, verdict] = value ? value.split(":") : [0, ""];
        state.metric = Number(metric);
        state.verdict = verdict;
      }));
    }
    if (m.conditions.includes(m.baseline)) {
      row.append(check("text differs from baseline", false, (on) => { state.differs = on; search(); }));
    }
    return row;
  }

  function start(index) {
    Object.assign(state, { measure: index, text: "", category: "", metric: 0, verdict: "", differs: false });
    const m = current();
    state.shown = new Set(m.initial);
    const tools = make("div", "tools");
    if (measures.length > 1) {
      const options = measures.map((other, i) => option(String(i), other.name));
      const choose = select("Measure", options, () => {});
      choose.value = String(index);
      choose.addEventListener("change", () => start(Number(choose.value)));
      tools.append(choose);
    }
    tools.append(filters(m));
    const picks = make("div", "row");
    picks.append(make("b", "", "Side by side"));
    m.conditions.forEach((label, i) => picks.append(check(label, state.shown.has(i), (on) => {
      if (on) state.shown.add(i); else state.shown.delete(i);
      const page = state.page;
      search();
      state.page = page;
      draw();
    })));
    tools.append(picks);
    const pager = make("div", "pager");
    count = make("span");
    count.setAttribute("role", "status");
    const hint = make("span");
    hint.append(make("kbd", "", "j"), " ", make("kbd", "", "k"), " next, previous");
    hint.style.marginRight = "0";
    previous = make("button", "", "Previous");
    next = make("button", "", "Next");
    previous.addEventListener("click", () => turn(-1, true));
    next.addEventListener("click", () => turn(1, true));
    pager.append(count, hint, previous, next);
    list = make("div");
    const left = m.total - m.questions.length;
    const note = make("p", "note", left ? `${m.questions.length} of ${m.total} questions, drawn by the hash of their ids; all answers are in completions/.` : "");
    root.replaceChildren(tools, note, pager, list);
    search();
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest && event.target.closest("input, select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !measures.length) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
  });

  if (measures.length) start(0);
  else root.replaceChildren(make("p", "note", "This run generated no texts; its options are in the tables above."));
})();
