// What all pages share: asking the API, telling the person, asking the person.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

/** The station that the page is about. */
export const station = meta("station");

/** What every request carries that changes something. */
export const csrf = meta("csrf-token");

/** An answer that is an error: `status`, what it says in a sentence (`message`), and the whole `document`. */
export class Problem extends Error {
  constructor(status, detail, document = {}) {
    super(detail);
    this.status = status;
    this.document = document;
  }
}

/** Ask the API: `api("PUT", "/mappings", {…})`. What it answers, decoded (null for nothing); throws Problem. */
export async function api(method, path, body) {
  const headers = { Accept: "application/json" };
  if (!["GET", "HEAD"].includes(method)) headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, "The service does not answer. Try again in a moment.");
  }
  return answered(response);
}

/** The document of a response, or the Problem that it is. */
export async function answered(response) {
  const text = await response.text();
  let document = null;
  try {
    document = text ? JSON.parse(text) : null;
  } catch {
    if (response.ok) throw new Problem(response.status, "The service answered something that is not JSON.");
  }
  if (response.ok) return document;
  if (response.status === 401) throw new Problem(401, "You are signed out. Reload the page to sign in again.", document ?? {});
  const errors = (document?.errors ?? []).map((error) => `${error.field}: ${error.reason}`).join("; ");
  throw new Problem(response.status, errors || document?.detail || `The service answered ${response.status}.`, document ?? {});
}

/** Tell the person something, for eight seconds; `kind` is info, good, or bad. What is bad stays until it is put away. */
export function say(text, kind = "info") {
  const toast = document.createElement("div");
  toast.className = `toast ${kind}`;
  toast.append(text);
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => toast.remove());
  toast.append(close);
  document.getElementById(kind === "bad" ? "alerted" : "said").append(toast);
  if (kind !== "bad") setTimeout(() => toast.remove(), 8000);
  return toast;
}

/** Ask the person; true if they agree. `yes` are the words on the button that agrees. */
export function ask(question, { yes = "Yes", danger = false } = {}) {
  const dialog = document.getElementById("asked");
  dialog.querySelector("#question").textContent = question;
  const button = dialog.querySelector("button[value=yes]");
  button.textContent = yes;
  button.className = danger ? "danger" : "primary";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Do something and say what came of it, with the button that began it out of use meanwhile. Whether it went well. */
export async function attempt(button, action, done) {
  if (button) button.disabled = true;
  try {
    const answer = await action();
    if (done) say(typeof done === "function" ? done(answer) : done, "good");
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(error.message, "bad");
    return false;
  } finally {
    if (button) button.disabled = false;
  }
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
let ahead = 0;

/** The service's clock, in ms: that of the device may be wrong. `header` is the `Date` of an answer. */
export function serverTime(header) {
  const told = Date.parse(header ?? "");
  // The header has whole seconds.
  if (!Number.isNaN(told) && Math.abs(told - Date.now()) > 2000) ahead = told - Date.now();
  return Date.now() + ahead;
}

function lasted(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `for ${days} d ${hours} h`;
  if (hours) return `for ${hours} h ${minutes} min`;
  return minutes ? `for ${minutes} min ${seconds % 60} s` : `for ${seconds} s`;
}

/** Write every time below `root` in words: `data-clock` as a time of the person's own zone, `data-for` as a duration. */
export function tellTimes(root = document) {
  const now = serverTime();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    let text;
    if ("for" in time.dataset) text = lasted(now - at);
    else if ("clock" in time.dataset) text = at.toDateString() === new Date(now).toDateString() ? clock.format(at) : date.format(at);
    if (text !== undefined && time.textContent !== text) time.textContent = text;
  }
}
