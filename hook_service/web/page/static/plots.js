// The last day in plots. Each has its sum in words and the same as a table: nothing is told by a line alone.
import { api, Problem, station } from "./api.js";

const EVERY = 60000;
const HIGH = 100;
const SVG = "http://www.w3.org/2000/svg";
const root = document.getElementById("plots");
const told = root.querySelector("[data-told]");
const place = root.querySelector(".plots");
const number = (digits) => new Intl.NumberFormat(undefined, { maximumFractionDigits: digits }).format;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const percent = (value) => `${number(value > 0.99 && value < 1 ? 2 : 1)(value * 100)} %`;
const megabits = (value) => `${number(2)(value / 1e6)} Mb/s`;
const lufs = (value) => `${number(1)(value)} LUFS`;
const cpu = (value) => `${number(1)(value)} %`;
const times = (value) => number(0)(value);
const range = (plot, write) => `${write(plot.mean)} on average, from ${write(plot.lowest)} to ${write(plot.highest)}`;

const known = (plot) => plot.values.filter((value) => value !== null).length / plot.values.length;
const asFar = (plot) => (known(plot) > 0.95 ? "" : `, of which ${percent(known(plot))} is known`);

const KINDS = {
  uptime: {
    title: "Uptime",
    write: percent,
    sum: (plot) => `${percent(plot.mean)} of the time on the air${asFar(plot)}`,
    ends: () => [0, 1],
  },
  bitrate: { title: "Bitrate", write: megabits, sum: (plot) => range(plot, megabits), ends: (plot) => [0, plot.highest * 1.15] },
  loudness: {
    title: "Loudness",
    write: lufs,
    sum: (plot) => range(plot, lufs),
    ends: (plot) => [Math.min(-40, plot.lowest), Math.max(0, plot.highest)],
  },
  cpu: {
    title: "CPU of its FFmpeg processes",
    write: cpu,
    sum: (plot) => `${range(plot, cpu)} of one core`,
    ends: (plot) => [0, Math.max(10, plot.highest * 1.15)],
  },
  switches: {
    title: "Switches",
    write: times,
    sum: (plot) => `${times(plot.total)} changes of the picture`,
    ends: (plot) => [0, Math.max(4, plot.highest * 1.15)],
    bars: true,
  },
};

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Runs of known values, as places [n, height], of which each is drawn by itself: what is not known is a gap. */
function runs(values, [low, high]) {
  const found = [];
  let run = null;
  values.forEach((value, n) => {
    if (value === null) {
      run = null;
      return;
    }
    if (!run) found.push((run = []));
    const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
    run.push([n, (HIGH - 2) * (1 - share) + 1]);
  });
  return found;
}

function draw(plot, kind) {
  const ends = kind.ends(plot);
  const found = runs(plot.values, ends);
  const parts = [];
  if (kind.bars) {
    const bars = found.flat().filter(([n]) => plot.values[n] > 0.05);
    parts.push(svg("path", { class: "bars", d: bars.map(([n, y]) => `M${n - 0.4} ${HIGH}V${y}h.8V${HIGH}z`).join("") }));
  } else {
    const line = (run) => run.map(([n, y]) => `${n} ${y.toFixed(2)}`).join("L");
    // A value alone is as wide as its step.
    const drawn = found.map((run) => (run.length > 1 ? run : [[run[0][0] - 0.5, run[0][1]], [run[0][0] + 0.5, run[0][1]]]));
    const bottom = (run) => `M${run[0][0]} ${HIGH}L${line(run)}L${run.at(-1)[0]} ${HIGH}z`;
    parts.push(svg("path", { class: "area", d: drawn.map(bottom).join("") }));
    parts.push(svg("path", { d: drawn.map((run) => `M${line(run)}`).join("") }));
  }
  const id = `plot-${plot.name}`;
  const cursor = svg("path", { class: "at", d: "" });
  const drawing = svg(
    "svg",
    { viewBox: `-1 0 ${plot.values.length + 1} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-labelledby": `${id}-title ${id}-sum` },
    ...parts,
    cursor,
  );
  return [drawing, cursor, ends];
}

/** An hour a row: few enough to be read. */
function table(plot, kind, moment, step) {
  const each = Math.max(1, Math.round(3600 / step));
  const rows = [];
  for (let end = plot.values.length; end > 0; end -= each) {
    const begin = Math.max(0, end - each);
    const known = plot.values.slice(begin, end).filter((value) => value !== null);
    const sum = known.reduce((one, other) => one + other, 0);
    const middle = kind.bars ? sum : sum / known.length;
    const cells = known.length ? [middle, Math.min(...known), Math.max(...known)].map(kind.write) : ["not known", "", ""];
    const head = element("th", { scope: "row" }, `${clock.format(moment(begin))} to ${clock.format(moment(end))}`);
    rows.push(element("tr", {}, head, ...cells.map((cell) => element("td", {}, cell))));
  }
  const heads = ["Time", kind.bars ? "In all" : "On average", "Least", "Most"].map((text) => element("th", { scope: "col" }, text));
  const caption = element("caption", { className: "hidden" }, `${kind.title}, the latest hour first`);
  return element("table", {}, caption, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

function figure(plot, { since, step_seconds: step }, open) {
  const kind = KINDS[plot.name];
  if (plot.latest === null) {
    const nothing = element("p", {}, "Nothing is known yet.");
    return element("figure", { className: "plot card" }, element("figcaption", {}, element("h3", {}, kind.title), nothing));
  }
  const began = Date.parse(since);
  const moment = (n) => new Date(began + (n - 1) * step * 1000);
  const [drawing, cursor, ends] = draw(plot, kind);
  const sum = element("p", { id: `plot-${plot.name}-sum` }, kind.sum(plot));
  const title = element("h3", { id: `plot-${plot.name}-title` }, kind.title);
  const scale = element("div", { className: "scale" }, element("span", {}, kind.write(ends[1])), element("span", {}, kind.write(ends[0])));
  const middle = Math.floor(plot.values.length / 2);
  const words = [clock.format(moment(0)), clock.format(moment(middle)), "now"];
  const hours = element("div", { className: "hours" }, ...words.map((text) => element("span", {}, text)));
  for (const part of [scale, hours]) part.setAttribute("aria-hidden", "true");
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const n = Math.min(plot.values.length - 1, Math.max(0, Math.round(((event.clientX - box.left) / box.width) * (plot.values.length + 1) - 1)));
    cursor.setAttribute("d", `M${n} 0V${HIGH}`);
    const value = plot.values[n];
    sum.textContent = `${clock.format(moment(n + 1))}: ${value === null ? "not known" : kind.write(value)}`;
  });
  drawing.addEventListener("pointerleave", () => {
    cursor.setAttribute("d", "");
    sum.textContent = kind.sum(plot);
  });
  const scroll = element("div", { className: "scroll", tabIndex: 0 });
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", `${kind.title} as a table`);
  const details = element("details", { open }, element("summary", {}, "As a table"), scroll);
  const fill = () => details.open && scroll.replaceChildren(table(plot, kind, moment, step));
  details.addEventListener("toggle", fill);
  fill();
  details.dataset.plot = plot.name;
  return element("figure", { className: "plot card" }, element("figcaption", {}, title, sum), element("div", { className: "drawn" }, scale, drawing, hours), details);
}

let timer;

async function look() {
  clearTimeout(timer);
  try {
    const found = await api("GET", `/stations/${encodeURIComponent(station)}/plots?hours=24`);
    // Who reads in it is not disturbed.
    if (!place.contains(document.activeElement) && !place.matches(":hover")) {
      const open = [...place.querySelectorAll("details[open]")].map((details) => details.dataset.plot);
      place.replaceChildren(...found.plots.map((plot) => figure(plot, found, open.includes(plot.name))));
    }
    told.hidden = true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    told.textContent = place.children.length ? `${error.message} What you see is from before.` : error.message;
    told.hidden = false;
    if ([401, 404].includes(error.status)) return;
  }
  timer = setTimeout(look, told.hidden ? EVERY : EVERY / 6);
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
look();
