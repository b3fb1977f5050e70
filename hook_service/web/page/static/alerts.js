// What Alertmanager knows to be wrong.
import { api, Problem, station, tellTimes } from "./api.js";

const EVERY = 30000;
const LEVELS = { critical: "bad", warning: "fair", info: "off" };
const root = document.getElementById("alerts");
const told = root.querySelector("[data-told]");
const list = root.querySelector("ul");
let timer;

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter(Boolean));
  return made;
}

function row(alert) {
  const when = alert.since && element("time", { dateTime: alert.since });
  if (when) when.dataset.for = "";
  const severity = alert.severity + (alert.silenced ? ", silenced" : "");
  const mark = element("span", { className: `mark ${LEVELS[alert.severity]}` });
  mark.setAttribute("aria-hidden", "true");
  return element(
    "li",
    {},
    mark,
    element("strong", {}, alert.summary ?? alert.name),
    element("span", { className: "how" }, `${severity}${when ? ", " : ""}`, when),
    alert.description && element("p", {}, alert.description),
    alert.runbook && element("p", {}, "See ", element("span", { className: "loop" }, alert.runbook)),
  );
}

async function look() {
  clearTimeout(timer);
  try {
    const { items } = await api("GET", `/alerts?station=${encodeURIComponent(station)}`);
    const heard = items.length ? (items.length === 1 ? "One thing is wrong." : `${items.length} things are wrong.`) : "Nothing is wrong.";
    if (told.textContent !== heard) told.textContent = heard;
    list.replaceChildren(...items.map(row));
    list.hidden = !items.length;
    tellTimes(list);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    told.textContent = error.message;
    list.hidden = true;
    if ([401, 404].includes(error.status)) return;
  }
  timer = setTimeout(look, EVERY);
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
look();
