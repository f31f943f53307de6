"use strict";
(() => {
  const section = document.getElementById("bindings");
  const table = document.getElementById("rows");
  const data = JSON.parse(document.getElementById("data").textContent);
  const {texts, machines} = data;
  const SVG = "http://www.w3.org/2000/svg";
  const SIGNS = {ok: "\u2713", soon: "\u25b2", over: "\u2717", note: "i", plain: ""};
  const TONES = ["ok", "soon", "over", "note", "plain"];
  const SEVERITIES = {error: "over", warning: "soon", notice: "note"};
  const RANKS = {error: 0, warning: 1, notice: 2};
  const CHUNK = 100;
  const NAMES = ["key", "family", "owner", "app_id", "thumbprint", "store", "names", "issuer", "not_after", "renew_from",
    "key_type", "private_key", "key_access", "renewed_by"];
  const machineOf = new Map(machines.map(([name, at]) => [texts[name], texts[at]]));
  const several = machines.length > 1;

  const findingOf = ([code, severity, where, found, expected, remedy, standard, clients]) => ({
    code: texts[code], severity: texts[severity], where: texts[where], found: texts[found], expected: texts[expected],
    remedy: texts[remedy], standard: texts[standard], clients: texts[clients]});

  const rows = data.rows.map(([machine, days, tone, findings, ...values]) => {
    const row = {machine: texts[machine], days, tone: TONES[tone], findings, hay: null};
    NAMES.forEach((name, number) => { row[name] = texts[values[number]]; });
    row.worst = Math.min(3, ...findings.map(one => RANKS[texts[one[1]]]));
    return row;
  });

  // What is searched: every text of a row, and of its findings.
  const hayOf = row => row.hay ??= [row.machine, ...NAMES.map(name => row[name]), row.key ? "" : "not bound",
    ...row.findings.flatMap(one => one.map(number => texts[number]))].join("\n").toLowerCase();

  // Text only ever comes in as text.
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter(child => child !== null && child !== ""));
    return element;
  };
  const faint = words => make("span", {class: "faint"}, words);
  const sign = (tone, words) => make("span", {class: tone}, make("b", {}, SIGNS[tone]), " ", words);
  // Long names break behind their separators only.
  const soft = words => words.split(/(?<=[.:@_])(?=[^.:@_])/).flatMap(
    (part, number) => number ? [make("wbr"), part] : [part]);
  // What is typed is not broken at its hyphens.
  const typed = words => words.split(/((?<=\s)--?[\w-]+)/).map((part, number) =>
    number % 2 ? make("span", {class: "whole"}, part) : part);
  const broken = parts => parts.filter(part => part).flatMap((part, number) => number ? [make("br"), part] : [part]);
  const facts = pairs => make("dl", {}, ...pairs.filter(([, value]) => value).flatMap(
    ([name, value]) => [make("dt", {class: name}, name),
      make("dd", {class: name}, ...(name === "remedy" ? typed(value) : [value]))]));

  const whole = number => number === 1 ? "1 day" : `${number} days`;
  const wordsOf = days => days < 0 ? `expired ${whole(Math.floor(-days))} ago` : `${whole(Math.floor(days))} left`;

  const barOf = row => {
    const bar = document.createElementNS(SVG, "svg");
    bar.setAttribute("class", "bar");
    bar.setAttribute("aria-hidden", "true");
    const rect = document.createElementNS(SVG, "rect");
    // A full bar is a year, or more.
    const width = row.tone === "over" ? 100 : Math.min(100, Math.max(1, Math.round(row.days / 3.65)));
    rect.setAttribute("width", `${width}%`);
    rect.setAttribute("height", "100%");
    if (row.tone === "ok") rect.setAttribute("class", "bar-ok");
    else rect.setAttribute("fill", `url(#${row.tone})`);
    bar.append(rect);
    return bar;
  };

  const moment = text => text ? `${text.slice(0, 16).replace("T", " ")} UTC` : "";
  const daysCell = row => row.days === null ? [] : [barOf(row), sign(row.tone, wordsOf(row.days)),
    make("br"), faint(row.not_after.slice(0, 10))];
  const detailsOf = row => make("tr", {role: "row", class: "more-of"}, make("td", {role: "cell", colspan: "5"}, facts([
    ["machine", row.machine], ["audited", `${machineOf.get(row.machine)} UTC`], ["family", row.family],
    ["owner", row.owner], ["app id", row.app_id], ["thumbprint", row.thumbprint], ["store", row.store],
    ["names", row.names], ["issuer", row.issuer], ["key", row.key_type], ["key access", row.key_access],
    ["valid until", moment(row.not_after)], ["renew from", moment(row.renew_from)], ["renewed by", row.renewed_by]])));
  const keyCell = row => {
    const button = make("button", {type: "button", class: "open", "aria-expanded": "false"}, "details");
    button.addEventListener("click", () => {
      const line = button.closest("tr");
      const open = button.getAttribute("aria-expanded") === "true";
      if (open) line.nextSibling.remove();
      else line.after(detailsOf(row));
      button.setAttribute("aria-expanded", String(!open));
    });
    const key = row.key ? make("b", {}, ...soft(row.key)) : faint("not bound");
    return broken([key, several && faint(row.machine), button]);
  };
  const namesCell = row => {
    const names = row.names.split(", ").filter(name => name);
    const shown = names.slice(0, names.length > 5 ? 4 : 5).map(name => make("span", {}, ...soft(name)));
    return broken([...shown, names.length > 5 && faint(`and ${names.length - 4} more`), row.owner && faint(row.owner)]);
  };
  const keyStateCell = row => broken([row.private_key && sign(row.private_key === "usable" ? "ok" : "over", row.private_key),
    row.private_key && row.key_type && faint(row.key_type), row.key_access && faint(row.key_access)]);
  const findingsCell = row => row.findings.length === 0 ? [sign("ok", "nothing")] : row.findings.map(findingOf).map(one =>
    make("details", {}, make("summary", {}, sign(SEVERITIES[one.severity], make("code", {}, one.code)), " ", faint(one.found)),
      facts([["remedy", one.remedy], ["expected", one.expected], ["where", one.where], ["standard", one.standard],
        ["refused by", one.clients]])));

  const COLUMNS = [
    ["days left", daysCell, row => row.days],
    ["binding", keyCell, row => row.key ? `${row.key.split(":").length > 2 ? "~" : ""}${row.key} ${row.machine}` : null],
    ["names", namesCell, row => row.names || null],
    ["private key", keyStateCell, row => row.private_key || null],
    ["findings", findingsCell, row => row.worst],
  ];

  const rowElement = row => make("tr", {role: "row"}, ...COLUMNS.map(([name, cell]) =>
    make("td", {role: "cell", "data-label": name}, make("div", {}, ...cell(row)))));

  // -- what is chosen and shown
  const state = {column: 0, down: false, search: "", worst: "", machine: "", shown: [], drawn: 0};
  const body = table ? table.tBodies[0] : null;
  const compare = new Intl.Collator("en", {numeric: true}).compare;

  const choose = () => {
    const words = state.search.toLowerCase().split(/\s+/).filter(word => word);
    state.shown = rows.filter(row =>
      (state.worst === "" || (state.worst === "expired" ? row.tone === "over" : state.worst === "soon" ? row.tone === "soon" :
        state.worst === "none" ? row.worst === 3 : row.findings.some(one => texts[one[1]] === state.worst))) &&
      (state.machine === "" || row.machine === state.machine) && words.every(word => hayOf(row).includes(word)));
    const of = COLUMNS[state.column][2];
    const keyed = state.shown.map(row => [of(row), row]);
    const way = state.down ? -1 : 1;
    // What has no value stands last either way.
    keyed.sort(([one], [other]) => one === other ? 0 : one === null ? 1 : other === null ? -1 :
      way * (typeof one === "number" ? one - other : compare(one, other)));
    state.shown = keyed.map(([, row]) => row);
  };

  const draw = (count = CHUNK) => {
    const next = state.shown.slice(state.drawn, state.drawn + count);
    const pieces = document.createDocumentFragment();
    next.forEach(row => pieces.append(rowElement(row)));
    body.append(pieces);
    state.drawn += next.length;
    const left = state.shown.length - state.drawn;
    more.hidden = left === 0;
    more.textContent = `show ${Math.min(left, CHUNK)} more of ${left}`;
  };

  const show = () => {
    choose();
    body.replaceChildren();
    state.drawn = 0;
    draw();
    const found = state.shown.length;
    told.textContent = found === rows.length ? `${found} rows` : `${found} of ${rows.length} rows`;
    COLUMNS.forEach((column, number) => {
      const head = table.tHead.rows[0].cells[number];
      if (number === state.column) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    order.value = `${state.column} ${state.down ? 1 : 0}`;
  };

  const sortBy = (column, down) => { state.column = column; state.down = down; show(); };
  const option = (value, words) => make("option", {value}, words);
  const search = make("input", {type: "search", placeholder: "search  ( / )", "aria-label": "search all rows",
    autocomplete: "off", spellcheck: "false"});
  const worst = make("select", {"aria-label": "which rows"}, option("", "all rows"), option("error", "with an error"),
    option("warning", "with a warning"), option("notice", "with a notice"), option("none", "without a finding"),
    option("expired", "expired"), option("soon", "to be renewed"));
  const machine = make("select", {"aria-label": "which machine"}, option("", "all machines"),
    ...[...new Set(machines.map(([name]) => texts[name]))].map(name => option(name, name)));
  const order = make("select", {"aria-label": "order"}, ...COLUMNS.flatMap(([name], number) =>
    [option(`${number} 0`, `by ${name} \u2191`), option(`${number} 1`, `by ${name} \u2193`)]));
  const told = make("span", {role: "status", class: "faint whole"});
  const more = make("button", {type: "button", class: "more"});

  if (table) {
    document.getElementById("still").remove();
    const tools = make("div", {class: "tools", role: "search"}, search, worst, several ? machine : null, order, told);
    table.before(tools);
    table.after(more);
    [...table.tHead.rows[0].cells].forEach((head, number) => {
      const button = make("button", {type: "button"}, head.textContent);
      button.addEventListener("click", () => sortBy(number, state.column === number && !state.down));
      head.replaceChildren(button);
    });
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { state.search = search.value; show(); }, 120);
    });
    worst.addEventListener("change", () => { state.worst = worst.value; show(); });
    machine.addEventListener("change", () => { state.machine = machine.value; show(); });
    order.addEventListener("change", () => { const [column, down] = order.value.split(" "); sortBy(+column, down === "1"); });
    more.addEventListener("click", () => {
      const last = body.lastElementChild;
      draw();
      last.nextElementSibling?.querySelector("button")?.focus();
    });
    document.addEventListener("keydown", event => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, select");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); search.focus(); }
      if (event.key === "Escape" && event.target === search) { search.value = state.search = ""; show(); }
    });
    for (const code of document.querySelectorAll("code.filter")) {
      const button = make("button", {type: "button", title: "show the rows that have it"}, code.textContent);
      button.addEventListener("click", () => {
        search.value = state.search = code.textContent;
        worst.value = state.worst = "";
        show();
        section.scrollIntoView();
        search.focus({preventScroll: true});
      });
      code.replaceChildren(button);
    }
    // Paper cannot be scrolled or opened: all rows that were chosen, with what to do.
    window.addEventListener("beforeprint", () => {
      draw(state.shown.length - state.drawn);
      for (const one of document.querySelectorAll("#rows td[data-label=findings] details")) one.open = true;
    });
    show();
  }
})();
