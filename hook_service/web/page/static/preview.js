// What leaves the host: its newest keyframe now and then, and the stream itself for whoever wants to watch it.
// Where a browser has Media Source Extensions the pieces are handed to it here; elsewhere it reads the list by itself.
import { station } from "./api.js";

const STILL_EVERY = 6000;
const LIST_EVERY = 1000;
const BEHIND = 9; // seconds behind the newest frame, after which the rest is left out
const KEPT = 20; // seconds that were played
const root = document.getElementById("preview");
const canvas = root.querySelector("canvas");
const video = root.querySelector("video");
const told = root.querySelector("[data-told]");
const button = root.querySelector("[data-watch]");
const at = (name) => `/preview/${encodeURIComponent(station)}/${name}`;
const Source = window.ManagedMediaSource ?? window.MediaSource;
let watching = null;
let timer;
let loop;

function tell(text) {
  if (told.textContent !== text) told.textContent = text;
}

class Away extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function get(name) {
  let response;
  try {
    response = await fetch(at(name), { cache: "no-store", headers: { Accept: "*/*" }, signal: AbortSignal.timeout(8000) });
  } catch {
    throw new Away(0, "The service does not answer.");
  }
  if (response.ok) return response;
  if (response.status === 401) throw new Away(401, "You are signed out.");
  const problem = await response.json().catch(() => ({}));
  throw new Away(response.status, problem.detail ?? `The service answered ${response.status}.`);
}

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// --- a still ------------------------------------------------------------------------------------------------------

// A file of one frame: the browser decodes it like any film, and what it shows is kept.
async function draw(blob) {
  const film = document.createElement("video");
  film.muted = film.playsInline = true;
  film.preload = "auto";
  film.src = URL.createObjectURL(blob);
  try {
    await new Promise((resolve, reject) => {
      film.addEventListener("loadeddata", resolve, { once: true });
      film.addEventListener("error", reject, { once: true });
      setTimeout(reject, 5000);
      film.play().catch(() => {}); // some load nothing before
    });
    canvas.width = film.videoWidth;
    canvas.height = film.videoHeight;
    canvas.getContext("2d").drawImage(film, 0, 0);
  } finally {
    URL.revokeObjectURL(film.src);
    film.removeAttribute("src");
    film.load();
  }
}

function wipe() {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

async function still() {
  clearTimeout(timer);
  if (watching || document.hidden) return;
  let next = STILL_EVERY;
  try {
    await draw(await (await get("still.mp4")).blob());
    tell("");
    button.disabled = false;
  } catch (error) {
    // An old picture would say that all is well.
    wipe();
    tell(error instanceof Away ? error.message : "This browser can't show the picture.");
    button.disabled = true;
    if (error.status === 401) return;
    next = STILL_EVERY / 2;
  }
  clearTimeout(timer);
  timer = setTimeout(still, next);
}

document.addEventListener("live", ({ detail }) => {
  const name = detail.loop && (detail.loop.name ?? "the slate");
  if (name === loop) return;
  canvas.setAttribute("aria-label", name ? `The picture on the air: ${name}` : "The picture on the air");
  // A loop may fade in: what can be seen of it comes with the keyframe after its first one.
  if (loop !== undefined) for (const wait of [300, 2800]) setTimeout(still, wait);
  loop = name;
});

// --- the stream ---------------------------------------------------------------------------------------------------

/** What a list holds: the GOPs, each with its number and with what goes before its stretch. */
function read(list) {
  const found = [];
  let number = 0;
  let before;
  for (const line of list.split("\n")) {
    if (line.startsWith("#EXT-X-MEDIA-SEQUENCE:")) number = Number(line.slice(22));
    else if (line.startsWith("#EXT-X-MAP:")) before = /URI="([^"]+)"/.exec(line)?.[1];
    else if (line && !line.startsWith("#")) found.push({ number: number++, name: line, before });
  }
  return found;
}

/** The codecs' names, as browsers want them: profile and level are in the initialisation's avcC (RFC 6381). */
function codecs(bytes) {
  const place = bytes.findIndex((byte, n) => byte === 0x61 && bytes[n + 1] === 0x76 && bytes[n + 2] === 0x63 && bytes[n + 3] === 0x43);
  const hex = [...bytes.subarray(place + 5, place + 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `video/mp4; codecs="avc1.${hex},mp4a.40.2"`;
}

const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

async function change(buffer, what) {
  what();
  if (buffer.updating) await event(buffer, "updateend");
}

/** Begin, without the sound where the browser does not allow it yet. */
function begin() {
  video.play().catch((reason) => {
    if (reason.name !== "NotAllowedError") return;
    video.muted = true;
    video.play().catch(() => {});
  });
}

/** Play one stretch until it is over, or nobody watches any more. */
async function play(signal) {
  await get("live.m3u8"); // it takes a moment to be made
  const source = new Source();
  video.disableRemotePlayback = true; // Safari wants it of a managed source
  video.src = URL.createObjectURL(source);
  begin();
  await event(source, "sourceopen");
  URL.revokeObjectURL(video.src);
  let buffer;
  let before;
  let next;
  while (!signal.aborted) {
    const files = read(await (await get("live.m3u8")).text());
    if (before === undefined) {
      before = files.at(-1).before;
      const bytes = new Uint8Array(await (await get(before)).arrayBuffer());
      buffer = source.addSourceBuffer(codecs(bytes));
      await change(buffer, () => buffer.appendBuffer(bytes));
      next = files.at(-2)?.before === before ? files.at(-2).number : files.at(-1).number;
    }
    for (const file of files) {
      if (file.number < next || signal.aborted) continue;
      if (file.before !== before || file.number > next) return; // another stretch, or too late for this one
      const bytes = await (await get(file.name)).arrayBuffer();
      await change(buffer, () => buffer.appendBuffer(bytes));
      next += 1;
    }
    await keepUp(buffer);
    await later(LIST_EVERY);
  }
}

async function keepUp(buffer) {
  const there = video.buffered;
  if (!there.length) return;
  const [begin, end] = [there.start(there.length - 1), there.end(there.length - 1)];
  if (video.currentTime < begin || (end - video.currentTime > BEHIND && !video.paused)) video.currentTime = Math.max(begin, end - 4);
  if (video.currentTime - there.start(0) > 2 * KEPT) await change(buffer, () => buffer.remove(0, video.currentTime - KEPT));
  if (video.readyState > 2) tell("");
}

/** For browsers without: the list has to be there before they ask for it, as they ask once. */
async function playNatively(signal) {
  await get("live.m3u8");
  video.src = at("live.m3u8");
  begin();
  tell("");
  const broken = event(video, "error");
  const stopped = event(signal, "abort");
  await Promise.race([broken, stopped]);
}

async function watch() {
  const control = new AbortController();
  watching = control;
  clearTimeout(timer);
  canvas.hidden = true;
  video.hidden = false;
  button.textContent = "Stop watching";
  tell("The stream begins in a moment …");
  begin(); // while the button's click counts as leave to be heard
  while (!control.signal.aborted) {
    try {
      await (Source ? play(control.signal) : playNatively(control.signal));
    } catch (error) {
      if (control.signal.aborted) break;
      tell(error instanceof Away && error.status !== 503 ? error.message : "Waiting for the stream …");
      if (error.status === 401) return;
    }
    await later(LIST_EVERY);
  }
}

function stop() {
  watching.abort();
  watching = null;
  video.pause();
  video.removeAttribute("src");
  video.load();
  video.hidden = true;
  canvas.hidden = false;
  button.textContent = "Watch and listen";
  still();
}

button.addEventListener("click", () => {
  if (watching) {
    stop();
    return;
  }
  video.muted = false; // somebody has pressed a button: browsers let it be heard
  watch();
});
document.addEventListener("visibilitychange", () => document.hidden || still());
still();
