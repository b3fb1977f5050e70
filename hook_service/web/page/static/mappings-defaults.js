// What is shown where nothing is mapped, by the time of day.
import { api, ask, attempt, Problem, station } from "./api.js";
import { $, edits, el, settled } from "./mappings-dom.js";

let after = () => {};

function row(item) {
  const own = item.source === "database";
  const name = item.hours ? item.hours.replace("-", " to ") : "the rest of the day";
  return el(
    "li",
    {},
    el("span", { class: "hours" }, name),
    el("span", { class: "loop" }, item.loop),
    el("span", {}, own ? (item.station === "*" ? "all stations" : "this station") : "from the configuration"),
    item.valid && el("span", { class: "badge good" }, "now"),
    own && edits && el("button", { type: "button", "aria-label": `Remove the default for ${name}`, click: () => remove(item, name) }, "Remove"),
  );
}

async function load() {
  try {
    const found = await api("GET", `/defaults?${new URLSearchParams({ station })}`);
    $("defaults").replaceChildren(...found.items.map(row));
    $("clock").textContent = `it is ${found.now} in ${found.timezone}`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    $("clock").textContent = error.message;
  }
}

async function remove(item, name) {
  if (!(await ask(`Remove ${item.loop} as the default for ${name}?`, { yes: "Remove", danger: true }))) return;
  const query = new URLSearchParams({ station: item.station, ...(item.hours && { hours: item.hours }) });
  await attempt(null, () => api("DELETE", `/defaults?${query}`), "The default is removed.");
  await Promise.all([load(), after()]);
}

async function set(event) {
  event.preventDefault();
  const form = event.target;
  const { from, until, loop, everywhere } = form.elements;
  const timed = from.value || until.value;
  from.required = until.required = Boolean(timed);
  if (!form.reportValidity()) return;
  const hours = timed ? `${from.value}-${until.value}` : null;
  const owner = everywhere?.checked ? "*" : station;
  const well = await attempt(form.querySelector("button"), () => api("PUT", "/defaults", { station: owner, hours, loop: loop.value.trim() }), "The default is set.");
  if (!well) return;
  form.reset();
  await Promise.all([load(), after()]);
}

/** Show them; `changed` is called when they were changed. */
export function defaults(changed) {
  after = changed;
  load();
  if (!edits) return;
  const form = $("new-default");
  form.addEventListener("submit", set);
  form.elements.loop.addEventListener(
    "input",
    settled(async () => {
      const found = await api("GET", `/loops?${new URLSearchParams({ limit: 30, q: form.elements.loop.value.trim() })}`);
      $("loops").replaceChildren(...found.items.map(({ name }) => el("option", { value: name })));
    }),
  );
}
