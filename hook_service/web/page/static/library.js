// The library: what there is, found again as it changes; uploads; tags; deleting, with a way back.
import { api, ask, attempt, Problem, say } from "./api.js";
import { Uploads } from "./upload.js";

const PAGE = 60;
const MOST = 500;
const BUSY = 1500;
const QUIET = 10000;
const $ = (id) => document.getElementById(id);
const shelf = $("shelf");
const mayChange = shelf.dataset.mayChange === "yes";
const mayMap = shelf.dataset.mayMap === "yes";
const still = matchMedia("(prefers-reduced-motion: reduce)");
const cards = new Map();
let wanted = PAGE;
let loops = [];
let timer;
let round = 0;

/** An element with attributes, listeners (functions) and children; what is null or false is left out. */
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== false));
  return made;
}

function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let power = 0;
  while (bytes >= 999.5 && power < units.length - 1) {
    bytes /= 1000;
    power += 1;
  }
  return `${power && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[power]}`;
}

const count = (number, word) => `${number.toLocaleString("en-GB")} ${word}${number === 1 ? "" : "s"}`;

// --- loops ---

const STATES = {
  prepared: () => ["good", "Ready"],
  encoding: (loop) => ["fair", loop.percent === null ? "Being prepared" : `Being prepared: ${loop.percent} %`],
  pending: () => ["fair", "Waits to be prepared"],
  refused: (loop) => ["bad", `Refused: ${loop.reason ?? "no reason is known"}`],
};

function uses({ mappings, defaults, on_air: onAir }) {
  const parts = [];
  if (onAir.length) parts.push("on the air now");
  if (mappings) parts.push(count(mappings, "mapping"));
  return [...parts, ...defaults].join("; ");
}

function picture(loop) {
  const address = (kind) => `/api/v1/loops/${kind}?${new URLSearchParams({ name: loop.name, v: loop.picture })}`;
  if (!loop.picture) return el("div", { class: "frame" }, el("span", { class: "none" }, "No picture yet"));
  let video = null;
  const frame = el("button", { type: "button", class: "frame", "aria-label": `Preview of ${loop.name}`, "aria-pressed": "false" });
  frame.append(el("img", { src: address("poster"), alt: "", loading: "lazy", width: 320, height: 180 }));
  const play = () => {
    if (video) return;
    video = el("video", { src: address("preview"), loop: true, playsinline: true, "aria-hidden": "true" });
    video.muted = true;
    frame.append(video);
    frame.setAttribute("aria-pressed", "true");
    video.play().catch(() => {});
  };
  const stop = () => {
    video?.remove();
    video = null;
    frame.setAttribute("aria-pressed", "false");
  };
  frame.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && !still.matches && play());
  frame.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && stop());
  frame.addEventListener("blur", stop);
  frame.addEventListener("click", (event) => (video && (event.detail === 0 || still.matches || event.pointerType !== "mouse") ? stop() : play()));
  return frame;
}

/** The way to the songs that are to get a loop. */
function toSongs(name, attributes, words) {
  if (!mayMap) return null;
  const asked = new URLSearchParams({ give: name });
  const station = new URLSearchParams(location.search).get("station");
  if (station) asked.set("station", station);
  return el("a", { class: "button", href: `/mappings?${asked}`, ...attributes }, words);
}

function card(loop) {
  const [kind, words] = STATES[loop.state](loop);
  const used = uses(loop.used);
  return el(
    "li",
    { class: "card" },
    picture(loop),
    el("h3", {}, loop.name),
    el("p", {}, el("span", { class: `badge ${kind}` }, words)),
    loop.percent !== null && el("progress", { max: 100, value: loop.percent, "aria-label": `Preparation of ${loop.name}` }),
    loop.tags?.length ? el("ul", { class: "tags", "aria-label": `Tags of ${loop.name}` }, loop.tags.map((tag) => el("li", {}, tag))) : null,
    el("p", { class: "faint" }, `${size(loop.size)} · ${used ? `used: ${used}` : "not used"}`),
    mayChange &&
      el(
        "div",
        { class: "buttons" },
        loop.state !== "refused" && toSongs(loop.name, { "aria-label": `Songs of ${loop.name}` }, "Songs"),
        el("button", { type: "button", "aria-label": `Tags of ${loop.name}`, disabled: loop.tags === null, click: () => editTags(loop) }, "Tags"),
        loop.state === "refused" &&
          el("button", { type: "button", "aria-label": `Try ${loop.name} again`, click: (event) => again(event.currentTarget, loop) }, "Try again"),
        el("button", { type: "button", class: "danger", "aria-label": `Delete ${loop.name}`, click: (event) => remove(event.currentTarget, loop) }, "Delete"),
      ),
  );
}

/** Show the loops; a card in which nothing is new stays as it is, with whatever has the focus in it. */
function show() {
  const names = new Set(loops.map((loop) => loop.name));
  for (const [name, { element }] of cards) {
    if (names.has(name)) continue;
    element.remove();
    cards.delete(name);
  }
  loops.forEach((loop, place) => {
    const text = JSON.stringify(loop);
    let known = cards.get(loop.name);
    if (known?.text !== text) {
      const element = card(loop);
      const focused = known?.element.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      known?.element.replaceWith(element);
      known = { text, element };
      cards.set(loop.name, known);
      if (focused) [...element.querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === focused)?.focus();
    }
    if (shelf.children[place] !== known.element) shelf.insertBefore(known.element, shelf.children[place] ?? null);
  });
}

function question() {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData($("find"))) if (String(value).trim()) asked.set(name, String(value).trim());
  return asked;
}

async function load() {
  clearTimeout(timer);
  round += 1;
  const mine = round;
  let found = [];
  try {
    let told;
    let after = "";
    do {
      const asked = question();
      asked.set("limit", String(Math.min(MOST, wanted - found.length)));
      if (after) asked.set("after", after);
      told = await api("GET", `/loops?${asked}`);
      if (mine !== round) return;
      found = found.concat(told.items);
      after = told.next;
    } while (after && found.length < wanted);
    loops = found;
    show();
    const shown = told.total > loops.length ? `${loops.length} of ${count(told.total, "loop")}` : count(told.total, "loop");
    const text = told.preparation === null ? `${shown}. The preparation does not answer.` : shown;
    if ($("count").textContent !== text) $("count").textContent = text;
    $("more").hidden = !told.next;
    await follow();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    $("count").textContent = error.message;
    if (error.status === 401) return;
  }
  const busy = uploads.busy || [...rows.keys()].some(awaited) || loops.some((loop) => ["pending", "encoding"].includes(loop.state) || (loop.state === "prepared" && !loop.picture));
  timer = setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", load, { once: true }) : load()), busy ? BUSY : QUIET);
}

async function aside() {
  try {
    const [disk, trash] = await Promise.all([api("GET", "/loops/disk"), api("GET", "/loops/trash")]);
    $("disk").textContent = `${count(disk.loops, "loop")}, ${size(disk.loops_bytes)}; prepared ${size(disk.prepared_bytes)}; ${size(disk.free_bytes)} free`;
    $("trash-count").textContent = trash.items.length ? `(${trash.items.length}, ${size(disk.trash_bytes)})` : "(none)";
    $("deleted").replaceChildren(...trash.items.map(deleted));
    if ($("empty")) $("empty").hidden = !trash.items.length;
    const select = $("find").elements.tag;
    const tags = await api("GET", "/loops/tags");
    const chosen = select.value;
    select.replaceChildren(new Option("any", ""), ...tags.items.map((each) => new Option(`${each.tag} (${each.loops})`, each.tag)));
    select.value = chosen;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!$("disk").textContent) $("disk").textContent = error.message;
  }
}

function deleted(item) {
  const until = new Date(item.until).toLocaleDateString("en-GB", { dateStyle: "medium" });
  return el(
    "li",
    {},
    el("span", {}, el("span", { class: "loop" }, item.name), ` ${size(item.size)}, deleted by ${item.deleted_by}; kept until ${until}`),
    mayChange && el("button", { type: "button", "aria-label": `Restore ${item.name}`, click: (event) => restore(event.currentTarget, item) }, "Restore"),
  );
}

async function changed() {
  await Promise.all([load(), aside()]);
}

async function restore(button, item) {
  await attempt(button, () => api("POST", "/loops/restore", { id: item.id }), `${item.name} is back.`);
  await changed();
}

async function again(button, loop) {
  await attempt(button, () => api("POST", "/loops/prepare", { name: loop.name }), `${loop.name} is tried again.`);
  await load();
}

async function remove(button, loop) {
  const asked = new URLSearchParams({ name: loop.name });
  button.disabled = true;
  try {
    let gone;
    try {
      gone = await api("DELETE", `/loops?${asked}`);
    } catch (error) {
      if (!(error instanceof Problem) || !error.document.may_be_forced) throw error;
      const question = `${loop.name} is used (${uses(error.document.used)}). Viewers would see the default loop instead. Delete it all the same?`;
      if (!(await ask(question, { yes: "Delete", danger: true }))) return;
      asked.set("force", "true");
      gone = await api("DELETE", `/loops?${asked}`);
    }
    for (const upload of rows.keys()) if (upload.name === loop.name) uploads.remove(upload);
    const toast = say(`${loop.name} is deleted.`, "good");
    const undo = el("button", { type: "button", click: () => (toast.remove(), restore(null, gone)) }, "Undo");
    toast.append(undo);
    await changed();
    $("shelf").querySelector("button")?.focus();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(error.message, "bad");
  } finally {
    button.disabled = false;
  }
}

function editTags(loop) {
  const dialog = $("tagging");
  const field = dialog.querySelector("input");
  $("tagging-title").textContent = `Tags of ${loop.name}`;
  field.value = (loop.tags ?? []).join(", ");
  dialog.returnValue = "";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    const tags = [...new Set(field.value.split(",").map((tag) => tag.trim()).filter(Boolean))];
    await attempt(null, () => api("PUT", "/loops/tags", { name: loop.name, tags }), `The tags of ${loop.name} are saved.`);
    await changed();
  };
  dialog.showModal();
}

// --- uploads ---

const rows = new Map();
const uploaded = (upload) => (upload.name === upload.file.name ? "Uploaded" : `Uploaded as ${upload.name}`);
const ENDED = {
  done: (upload) => `${uploaded(upload)}; it is being prepared now`,
  duplicate: (upload) => `Is there already: ${upload.name}`,
  refused: (upload) => `Refused: ${upload.text}`,
  failed: (upload) => upload.text,
  waiting: () => "Waits for its turn",
  paused: () => "Paused",
  sending: (upload) => upload.text,
};

function row(upload) {
  const name = upload.file.name;
  const made = {
    bar: el("progress", { max: Math.max(1, upload.file.size), value: 0, "aria-label": `Upload of ${name}` }),
    how: el("span", { class: "how" }),
    pause: el("button", { type: "button", "aria-label": `Pause ${name}`, click: () => uploads.pause(upload) }, "Pause"),
    resume: el("button", { type: "button", "aria-label": `Resume ${name}`, click: () => uploads.resume(upload) }, "Resume"),
    remove: el("button", { type: "button", "aria-label": `Remove ${name}`, click: () => uploads.remove(upload) }, "Remove"),
  };
  const buttons = el("div", { class: "buttons" }, made.pause, made.resume, made.remove);
  made.element = el("li", {}, el("strong", { class: "loop" }, name), made.bar, made.how, buttons);
  $("uploads").append(made.element);
  rows.set(upload, made);
  return made;
}

function told(upload) {
  const made = rows.get(upload) ?? row(upload);
  if (upload.state === "removed") {
    made.element.remove();
    rows.delete(upload);
    return;
  }
  const over = ["done", "duplicate", "refused"].includes(upload.state);
  made.bar.hidden = over || upload.state === "failed";
  made.bar.value = upload.offset;
  const percent = Math.floor((100 * upload.offset) / Math.max(1, upload.file.size));
  const words = ENDED[upload.state](upload);
  made.how.textContent = words || `${percent} % of ${size(upload.file.size)}`;
  made.how.classList.toggle("error", ["refused", "failed"].includes(upload.state));
  made.pause.hidden = !["sending", "waiting"].includes(upload.state);
  made.resume.hidden = !["paused", "failed"].includes(upload.state);
  if (over && !upload.over) {
    upload.over = true;
    if (upload.state === "duplicate") offer(made, upload.name);
    say(`${upload.file.name}: ${words}.`, upload.state === "refused" ? "bad" : "good");
    changed();
  }
}

function offer(made, name) {
  const link = toSongs(name, { class: "button primary", "aria-label": `Give it to songs: ${name}` }, "Give it to songs");
  if (link) made.remove.before(link);
}

const awaited = (upload) => upload.state === "done" && !upload.prepared;

/** Say how the preparation of what was uploaded goes, and once it is ready what can be done with it. */
async function follow() {
  for (const [upload, made] of rows) {
    if (!awaited(upload)) continue;
    // It need not be among the loops that are shown.
    const found = await api("GET", `/loops?${new URLSearchParams({ q: upload.name.slice(0, 200), limit: String(MOST) })}`);
    const loop = found.items.find((one) => one.name === upload.name);
    // Another round may have been here meanwhile.
    if (!loop || loop.state === "pending" || !awaited(upload)) continue;
    const percent = loop.percent === null ? "" : `: ${loop.percent} %`;
    made.how.textContent = `${uploaded(upload)}; it is being prepared now${percent}`;
    if (loop.state === "encoding") continue;
    upload.prepared = true;
    const well = loop.state === "prepared";
    const words = well ? "and ready" : `but refused: ${loop.reason ?? "no reason is known"}`;
    made.how.textContent = `${uploaded(upload)} ${words}`;
    made.how.classList.toggle("error", !well);
    say(`${upload.name} is ${well ? "ready" : words.replace("but ", "")}.`, well ? "good" : "bad");
    if (well) offer(made, upload.name);
  }
}

const uploads = new Uploads(told);

if (mayChange) {
  const drop = $("drop");
  const files = $("files");
  const chosen = () => {
    uploads.add(files.files);
    files.value = "";
  };
  files.addEventListener("change", chosen);
  // A quick hand on a slow line: before this script was here.
  if (files.files.length) chosen();
  const carries = (event) => [...event.dataTransfer.types].includes("Files");
  // Beside the field as well: a browser would leave the page for a file that is dropped anywhere else.
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!carries(event)) return;
    event.preventDefault();
    uploads.add(event.dataTransfer.files);
  });
  addEventListener("beforeunload", (event) => uploads.busy && event.preventDefault());
  $("empty").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    if (!(await ask("Remove all deleted loops for good? They can't come back from that.", { yes: "Remove", danger: true }))) return;
    await attempt(button, () => api("DELETE", "/loops/trash"), "The deleted loops are gone.");
    await aside();
  });
}

let typing;
$("find").addEventListener("submit", (event) => event.preventDefault());
$("find").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    wanted = PAGE;
    load();
  }, 150);
});
$("more").addEventListener("click", () => {
  wanted += PAGE;
  load();
});
$("find").elements.q.value = new URLSearchParams(location.search).get("q") ?? "";
changed();
