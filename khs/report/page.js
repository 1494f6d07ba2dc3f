"use strict";
// The timeline. Texts reach the page as texts only (fillText, textContent).
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const canvas = document.getElementById("drawing");
  const told = document.getElementById("told");
  const pen = canvas.getContext("2d");
  const LEFT = 120, ROW = 34, TOP = 28;
  const end = Math.max(run.end, 1);
  let from = 0, to = end, selected = -1, width = 0;

  const ms = (ns) => (ns / 1e6).toFixed(6).replace(/0{1,3}$/, "") + " ms";
  const x = (ns) => LEFT + (ns - from) / (to - from) * (width - LEFT);
  const time = (px) => from + (px - LEFT) / (width - LEFT) * (to - from);
  const top = (row) => TOP + row * ROW;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const kind = (mark) => mark === "denied" ? "denied" : ["fault", "health", "stop"].includes(mark) ? "fault" : "other";

  // first index whose start is not before `ns`; windows and calls are in the order of time
  function first(rows, ns) {
    let low = 0, high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle][1] < ns) low = middle + 1; else high = middle;
    }
    return low;
  }

  function* visible(rows) {
    // one window or hypercall of each partition may have begun before and last still
    const seen = new Set();
    const start = first(rows, from);
    for (let i = start - 1; i >= 0 && i > start - 2000 && seen.size < run.partitions.length; i--) {
      if (!seen.has(rows[i][0]) && rows[i][2] >= from) yield rows[i];
      seen.add(rows[i][0]);
    }
    for (let i = start; i < rows.length && rows[i][1] <= to; i++) yield rows[i];
  }

  function bars(rows, high, paint) {
    pen.fillStyle = paint;
    for (const [row, start, stop] of rows) {
      const left = Math.max(x(start), LEFT);
      pen.fillRect(left, top(row) + (ROW - high) / 2, Math.max(Math.min(x(stop), width) - left, 1), high);
    }
  }

  function stretches() {
    const exact = run.exact === null ? Infinity : run.exact;
    if (to <= exact) return;
    const most = Math.max(1, ...run.counts.map((row) => row.reduce((a, b) => Math.max(a, b), 0)));
    run.counts.forEach((row, at) => row.forEach((count, n) => {
      const start = n * run.stretch, stop = start + run.stretch;
      if (!count || start < exact || stop < from || start > to) return;
      const high = Math.max(2, count / most * (ROW - 8)), left = Math.max(x(start), LEFT);
      pen.fillStyle = colour(run.denied[at][n] ? "denied" : "call");
      pen.fillRect(left, top(at) + ROW - 4 - high, Math.max(Math.min(x(stop), width) - left, 1), high);
    }));
  }

  function axis() {
    const rough = (to - from) / Math.max(2, (width - LEFT) / 110);
    const ten = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].find((n) => n * ten >= rough) * ten);
    pen.fillStyle = colour("quiet");
    pen.strokeStyle = colour("line");
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      pen.beginPath(); pen.moveTo(x(at), TOP - 6); pen.lineTo(x(at), top(run.partitions.length)); pen.stroke();
      pen.fillText(String(+(at / 1e6).toFixed(6)) + " ms", x(at) + 3, 14);
    }
  }

  function marks() {
    const order = ["other", "fault", "denied"]; // the last are on top
    const shown = run.marks.map((mark, n) => [...mark.slice(0, 3), n]).filter(([at]) => at >= from && at <= to);
    shown.sort((a, b) => order.indexOf(kind(a[2])) - order.indexOf(kind(b[2])));
    shown.forEach(([at, row, what, n]) => {
      const y = row === null || row >= run.partitions.length ? TOP - 6 : top(row);
      pen.fillStyle = colour(kind(what));
      pen.beginPath(); pen.moveTo(x(at) - 4, y + 1); pen.lineTo(x(at) + 4, y + 1); pen.lineTo(x(at), y + 9); pen.fill();
      if (n === selected) {
        pen.strokeStyle = pen.fillStyle;
        pen.beginPath(); pen.moveTo(x(at), TOP); pen.lineTo(x(at), top(run.partitions.length)); pen.stroke();
      }
    });
  }

  function draw() {
    const scale = window.devicePixelRatio || 1, height = top(run.partitions.length) + 12;
    width = Math.max(canvas.clientWidth, LEFT + 100);
    canvas.width = width * scale;
    canvas.height = height * scale;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.font = "12px system-ui, sans-serif";
    pen.clearRect(0, 0, width, height);
    axis();
    bars(visible(run.windows), ROW - 12, colour("window"));
    const calls = [...visible(run.calls)];
    bars(calls.filter((call) => !call[5]), ROW - 20, colour("call"));
    bars(calls.filter((call) => call[5]), ROW - 20, colour("denied"));
    stretches();
    marks();
    pen.clearRect(0, TOP - 2, LEFT - 1, height);
    pen.fillStyle = colour("fore");
    run.partitions.forEach((name, row) => {
      const short = name.length > 16 ? name.slice(0, 15) + "…" : name;
      pen.fillText(short, 6, top(row) + ROW / 2 + 4);
    });
    canvas.dataset.shown = `${Math.round(from)} ${Math.round(to)}`;
  }

  function show(a, b) {
    const span = Math.min(Math.max(b - a, 100), end);
    from = Math.min(Math.max(a, 0), end - span);
    to = from + span;
    draw();
  }

  function zoom(factor, around = (from + to) / 2) {
    show(around - (around - from) * factor, around + (to - around) * factor);
  }

  function select(n) {
    if (!run.marks.length) { told.textContent = "No denials, faults or other events."; return; }
    selected = (n + run.marks.length) % run.marks.length;
    const [at, row, what, words] = run.marks[selected];
    if (at < from || at > to) show(at - (to - from) / 2, at + (to - from) / 2); else draw();
    const whose = row === null ? "kernel" : run.partitions[row] ?? `partition ${row}`;
    told.textContent = `${ms(at)}, ${whose}: ${what} (${selected + 1} of ${run.marks.length}) ${words}`;
  }

  function next(way) {
    if (selected >= 0) { select(selected + way); return; }
    const at = run.marks.findIndex((mark) => mark[0] >= from);
    select(way > 0 ? Math.max(at, 0) : (at < 0 ? run.marks.length : at) - 1);
  }

  const actions = {
    in: () => zoom(0.5), out: () => zoom(2), all: () => show(0, end),
    left: () => show(from - (to - from) / 4, to - (to - from) / 4),
    right: () => show(from + (to - from) / 4, to + (to - from) / 4),
    previous: () => next(-1), next: () => next(1),
  };
  const keys = { "+": "in", "=": "in", "-": "out", 0: "all", ArrowLeft: "left", ArrowRight: "right", n: "next", p: "previous" };

  // what is at a point, in words
  function at(px, py) {
    const row = Math.floor((py - TOP) / ROW), ns = time(px), near = (to - from) / (width - LEFT) * 3;
    const within = (item) => item[0] === row && item[1] - near <= ns && ns <= item[2] + near;
    const mark = run.marks.findIndex((each) => Math.abs(each[0] - ns) <= near * 2 &&
      (each[1] === row || (row < 0 && each[1] === null)));
    if (mark >= 0) { select(mark); return; }
    const call = [...visible(run.calls)].filter(within).sort((a, b) => Math.abs(a[1] - ns) - Math.abs(b[1] - ns))[0];
    const window_ = [...visible(run.windows)].find(within);
    const name = run.partitions[row] ?? "kernel";
    if (call) {
      told.textContent = `${name}: ${run.names[call[3]]}, ${run.codes[call[4]]}, entered at ${ms(call[1])}` +
        (call[2] > call[1] ? `, takes ${ms(call[2] - call[1])}` : "");
    } else {
      told.textContent = `${ms(ns)}, ${name}` + (window_ ? `: window from ${ms(window_[1])} to ${ms(window_[2])}` : "");
    }
  }

  // #t=1511.006288 shows that time, #t=1500-1600 that part of the run; milliseconds
  function go() {
    const found = /^#t=([\d.]+)(?:-([\d.]+))?$/.exec(location.hash);
    if (!found) return;
    const a = found[1] * 1e6, b = found[2] === undefined ? null : found[2] * 1e6;
    if (b !== null) { show(a, b); return; }
    show(a - 1e7, a + 1e7);
    const mark = run.marks.findIndex((each) => Math.abs(each[0] - a) < 1);
    if (mark >= 0) select(mark);
    canvas.scrollIntoView({ block: "center" });
    canvas.focus({ preventScroll: true });
  }

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => { drag = [event.offsetX, from, to, false]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const moved = (event.offsetX - drag[0]) / (width - LEFT) * (drag[2] - drag[1]);
    drag[3] = drag[3] || Math.abs(event.offsetX - drag[0]) > 3;
    if (drag[3]) show(drag[1] - moved, drag[2] - moved);
  });
  canvas.addEventListener("pointerup", (event) => { if (drag && !drag[3]) at(event.offsetX, event.offsetY); drag = null; });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return; // the wheel alone scrolls the page
    event.preventDefault();
    zoom(event.deltaY > 0 || event.deltaX > 0 ? 1.25 : 0.8, time(event.offsetX));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const action = actions[keys[event.key]];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  for (const button of document.querySelectorAll("button[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);
  addEventListener("hashchange", go);
  document.getElementById("no-script").hidden = true;
  document.getElementById("with-script").hidden = false;
  told.textContent = "Drag to move, Ctrl and the wheel to zoom, click for what is there; or the keys + - 0 n p and arrows.";
  draw();
  go();
})();
