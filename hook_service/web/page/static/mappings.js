// The songs and their loops: found, selected, mapped. The address has the filter, so that it can be kept and sent on.
import { api, ask, attempt, Problem, say, station } from "./api.js";
import { air } from "./mappings-air.js";
import { assign } from "./mappings-assign.js";
import { importing } from "./mappings-csv.js";
import { defaults } from "./mappings-defaults.js";
import { $, count, edits, el, poster, RULES, settled } from "./mappings-dom.js";

const LIMIT = 50;
const NAMES = ["q", "mapped", "playlist", "artist", "album", "rule", "loop"];
const form = $("filters");
const selected = new Map();
let everything = false;
let cursors = [null];
let total = 0;
let items = [];
let round = 0;
// The loop with which the person came from the library.
let offer = new URLSearchParams(location.search).get("give");

/** The filter as it is now, without what is empty. */
function filter() {
  const found = {};
  for (const name of NAMES) {
    const value = form.elements[name].value.trim();
    if (value) found[name] = value;
  }
  return found;
}

// --- the table ---

/** Whether the rows are still those of another filter: nothing can be selected among them. */
function stale(yes) {
  $("region").setAttribute("aria-busy", String(yes));
  $("songs").inert = yes;
  if (edits) $("page").disabled = $("all").disabled = yes;
}

async function load() {
  const mine = (round += 1);
  stale(true);
  const asked = { station, limit: LIMIT, ...filter() };
  const cursor = cursors.at(-1);
  if (cursor) asked.cursor = cursor;
  try {
    const found = await api("GET", `/songs?${new URLSearchParams(asked)}`);
    // An answer to what was typed before comes too late.
    if (mine !== round) return;
    ({ items, total } = found);
    show(found.next);
    $("trouble").hidden = true;
  } catch (error) {
    if (!(error instanceof Problem) || mine !== round) throw error;
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
  } finally {
    if (mine === round) stale(false);
  }
}

function show(next) {
  $("songs").replaceChildren(...items.map(row));
  $("empty").hidden = items.length > 0;
  $("before").hidden = cursors.length < 2;
  $("after").hidden = next === null;
  $("after").dataset.cursor = next ?? "";
  const first = (cursors.length - 1) * LIMIT + 1;
  $("place").textContent = items.length
    ? `${first.toLocaleString("en-GB")} to ${(first + items.length - 1).toLocaleString("en-GB")} of ${count(total, "song")}`
    : "";
  const exported = { station, ...filter() };
  $("export-songs").href = `/api/v1/songs/export?${new URLSearchParams(exported)}`;
  tellSelection();
}

function row(song) {
  const name = [song.artist, song.title].filter(Boolean).join(" – ") || song.media_id;
  const narrow = (field, text) =>
    text ? el("button", { type: "button", class: "link", title: `Only this ${field}`, click: () => only(field, text) }, text) : "–";
  const box = el("input", { type: "checkbox", "aria-label": `Select ${name}`, change: (event) => pick(song, event.target.checked) });
  box.checked = everything || selected.has(song.id);
  const unmapped = ["default", "time_of_day"].includes(song.rule);
  return el(
    "tr",
    {},
    edits && el("td", {}, box),
    el("td", {}, el("strong", {}, song.title || "–"), el("br"), narrow("artist", song.artist)),
    el("td", {}, narrow("album", song.album)),
    el("td", {}, song.playlists.join(", ") || "–"),
    el("td", { class: unmapped ? "unmapped" : null }, poster(song.loop), el("span", { class: "loop" }, song.loop)),
    el("td", { class: unmapped ? "unmapped" : null }, RULES[song.rule] ?? song.rule),
    edits &&
      el(
        "td",
        { class: "acts" },
        el("button", { type: "button", "aria-label": `Choose a loop for ${name}`, click: () => choose({ songs: [song.id] }, 1, song, name) }, "Choose…"),
      ),
  );
}

function only(field, text) {
  form.elements[field].value = text;
  changed();
  form.elements[field].focus();
}

/** That song, whatever was searched for. */
function find(song) {
  for (const name of NAMES) form.elements[name].value = "";
  only("q", [song.artist, song.title].filter(Boolean).join(" "));
}

const apply = settled(() => {
  const query = new URLSearchParams(filter());
  if (new URLSearchParams(location.search).has("station")) query.set("station", station);
  if (offer) query.set("give", offer);
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
  load();
});

/** The filter has changed: what was selected by the one before is not any more. */
function changed() {
  cursors = [null];
  round += 1;
  pickNone();
  tellSelection();
  stale(true);
  apply();
}

// --- the selection ---

function pick(song, on) {
  if (everything && !on) {
    // All but some can't be named to the service: what is left of this page stays.
    everything = false;
    for (const one of items) selected.set(one.id, one);
  }
  if (on) selected.set(song.id, song);
  else selected.delete(song.id);
  tellSelection();
}

function pickNone() {
  everything = false;
  selected.clear();
}

function tellSelection() {
  if (!edits) return;
  const number = everything ? total : selected.size;
  $("chosen").textContent = number ? `${count(number, "song")} selected.` : "No song is selected.";
  $("all").hidden = everything || total <= items.length || selected.size < items.length || !items.length;
  $("all").textContent = `Select all ${count(total, "song")}`;
  $("none").hidden = !number;
  $("assign").disabled = $("remove").disabled = !number;
  const here = items.filter((song) => everything || selected.has(song.id)).length;
  $("page").checked = here > 0 && here === items.length;
  $("page").indeterminate = here > 0 && here < items.length;
  const boxes = $("songs").querySelectorAll("input[type=checkbox]");
  items.forEach((song, place) => (boxes[place].checked = everything || selected.has(song.id)));
}

/** What the selection is to the API. */
function meant() {
  if (!everything) return { songs: [...selected.keys()] };
  const found = filter();
  if (found.mapped) found.mapped = found.mapped === "true";
  return { filter: found };
}

async function choose(which, number, song, name) {
  const done = await assign({ which, number, song, name, playlist: which.filter?.playlist, offer });
  if (!done) return;
  pickNone();
  await Promise.all([load(), overview()]);
}

async function remove() {
  const number = everything ? total : selected.size;
  const order = { station, loop_file_path: null, kind: "track", ...meant() };
  let planned;
  const asked = await attempt($("remove"), async () => (planned = await api("PUT", "/mappings/bulk", { ...order, dry_run: true })));
  if (!asked) return;
  if (!planned.removed) {
    say("None of these songs has a mapping of its own: their loops come from an album, artist, playlist or field.");
    return;
  }
  if (!(await ask(`Take ${count(planned.removed, "mapping")} of ${count(number, "song")} away?`, { yes: "Take away", danger: true }))) return;
  await attempt($("remove"), () => api("PUT", "/mappings/bulk", order), (done) => `${count(done.removed, "mapping")} taken away.`);
  pickNone();
  await Promise.all([load(), overview()]);
}

// --- the library as a whole ---

function told({ songs, unmapped, reading }) {
  const at = reading.at ? new Date(reading.at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" }) : null;
  const state = { reading: " It is being read now.", waiting: " It is read soon.", read: at ? ` Read at ${at}.` : "" }[reading.state] ?? "";
  return `${count(songs, "song")}, ${unmapped.toLocaleString("en-GB")} without a mapping.${state}`;
}

async function overview() {
  let found;
  try {
    found = await api("GET", `/songs/summary?${new URLSearchParams({ station })}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    $("library").textContent = error.message;
    return null;
  }
  $("library").textContent = told(found);
  const { reading } = found;
  $("reading").hidden = !reading.error;
  $("reading").textContent = reading.error ? `The library of AzuraCast can't be read: ${reading.error}.` : "";
  const list = form.elements.playlist;
  const before = list.value;
  const options = found.playlists.map(({ name, songs }) => el("option", { value: name }, `${name} (${songs.toLocaleString("en-GB")})`));
  list.replaceChildren(el("option", { value: "" }, "Any"), ...options);
  list.value = before;
  return found;
}

async function sync() {
  const begun = await attempt($("sync"), () => api("POST", "/songs/sync", { station }));
  if (!begun) return;
  const timer = setInterval(async () => {
    const found = await overview();
    if (found && ["reading", "waiting"].includes(found.reading.state)) return;
    clearInterval(timer);
    if (found?.reading.state === "read") say(`The library is read: ${count(found.reading.changed, "song")} changed, ${found.reading.removed} gone.`, "good");
    await load();
  }, 700);
}

// --- begin ---

const given = new URLSearchParams(location.search);
const listed = given.get("playlist");
if (listed) form.elements.playlist.append(el("option", { value: listed }, listed));
for (const name of NAMES) form.elements[name].value = given.get(name) ?? "";
form.addEventListener("input", changed);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(changed));
$("before").addEventListener("click", () => {
  cursors.pop();
  load();
});
$("after").addEventListener("click", () => {
  cursors.push($("after").dataset.cursor);
  load();
});
if (edits) {
  $("page").addEventListener("change", (event) => {
    if (event.target.checked) for (const song of items) selected.set(song.id, song);
    else pickNone();
    tellSelection();
  });
  $("all").addEventListener("click", () => {
    everything = true;
    tellSelection();
    $("assign").focus();
  });
  $("none").addEventListener("click", () => {
    pickNone();
    tellSelection();
  });
  $("assign").addEventListener("click", () => {
    const [song] = selected.size === 1 && !everything ? selected.values() : [];
    choose(meant(), everything ? total : selected.size, song);
  });
  $("remove").addEventListener("click", remove);
  $("sync").addEventListener("click", sync);
  importing(() => Promise.all([load(), overview()]));
  $("offer").hidden = !offer;
  $("offer").querySelector(".loop").textContent = offer ?? "";
  $("offer").querySelector("button").addEventListener("click", () => {
    offer = null;
    $("offer").hidden = true;
    apply();
  });
}
overview();
load();
air(find);
defaults(load);
