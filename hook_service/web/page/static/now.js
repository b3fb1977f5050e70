// Keeps the page of a station up to date, without a reload. Each time something is new, `document` gets the event
// "live" with the document of /live.
import { answered, Problem, serverTime, station, tellTimes } from "./api.js";

const EVERY = 1000;
const HIDDEN = 5000;
const LONGEST = 30000;
const away = document.getElementById("away");
// For who can't see it change.
const heard = document.getElementById("heard");
const parts = new Map();
let tag = "";
let track;
let failed = 0;
let timer;
let over = false;
let asking = false;

function show(live) {
  for (const [name, html] of Object.entries(live.parts)) {
    if (parts.get(name) === html) continue;
    parts.set(name, html);
    const part = document.querySelector(`[data-part="${name}"]`);
    // Made by the service's own templates, which escape what comes from outside.
    part.innerHTML = html;
    tellTimes(part);
  }
  const now = live.track && [live.track.title, live.track.artist].filter(Boolean).join(" – ");
  if (track !== undefined && now && now !== track) heard.textContent = `Now on the air: ${now}`;
  track = now;
  document.title = `${live.status.level === "good" ? "" : "⚠ "}${now ? `${now} · ` : ""}${live.name} – Steadycast`;
  document.dispatchEvent(new CustomEvent("live", { detail: live }));
}

function trouble(problem) {
  failed += 1;
  document.body.classList.add("stale");
  over = problem.status === 401;
  if (over) {
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Sign in again";
    away.replaceChildren("You are signed out; what you see is from before. ", link);
    away.hidden = false;
  } else if (failed > 1) {
    away.replaceChildren("The service does not answer; what you see is from before. The broadcast does not need it.");
    away.hidden = false;
  }
}

function well() {
  failed = 0;
  away.hidden = true;
  document.body.classList.remove("stale");
}

async function look() {
  clearTimeout(timer);
  if (asking || over) return;
  asking = true;
  try {
    const response = await fetch(`/live?station=${encodeURIComponent(station)}`, {
      headers: tag ? { "If-None-Match": tag } : {},
      cache: "no-store",
      signal: AbortSignal.timeout(5000),
    });
    serverTime(response.headers.get("Date"));
    if (response.status !== 304) {
      const live = await answered(response);
      tag = response.headers.get("ETag") ?? "";
      show(live);
    }
    well();
  } catch (error) {
    trouble(error instanceof Problem ? error : new Problem(0, "away"));
  } finally {
    asking = false;
  }
  if (over) return;
  const pace = document.hidden ? HIDDEN : EVERY;
  timer = setTimeout(look, failed ? Math.min(LONGEST, pace * 2 ** failed) : pace);
}

document.addEventListener("visibilitychange", () => document.hidden || look());
window.addEventListener("online", look);
look();
