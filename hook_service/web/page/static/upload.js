// Files on their way to the station, by tus 1.0: in pieces, several at once, each to be paused and to go on, also after
// the page was closed and the same file is chosen again.
import { answered, api, csrf, Problem } from "./api.js";

const AT_ONCE = 3;
const SMALLEST = 256 * 1024;
const LARGEST = 8 * 1024 * 1024;
const PIECE_MS = 1000;
const LONGEST_WAIT = 30000;
const CHECK_EVERY = 1000;
const ENDS = ["done", "duplicate", "refused"];

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function tus(method, address, { headers = {}, body, signal } = {}) {
  const own = method === "HEAD" ? {} : { "X-CSRF-Token": csrf };
  let response;
  try {
    response = await fetch(address, { method, headers: { "Tus-Resumable": "1.0.0", ...own, ...headers }, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer.");
  }
  if (!response.ok) await answered(response);
  return response;
}

/** All uploads of this page. `changed(upload)` is called whenever there is something new to show of one. */
export class Uploads {
  constructor(changed) {
    this.changed = changed;
    this.all = [];
  }

  get busy() {
    return this.all.some((upload) => ["waiting", "sending"].includes(upload.state));
  }

  /** Begin with these files as soon as there is room; those that are on their way already are left out. */
  add(files) {
    for (const file of files) {
      const key = `upload:${file.name}:${file.size}:${file.lastModified}`;
      if (this.all.some((upload) => upload.key === key && !ENDS.includes(upload.state) && upload.state !== "failed")) continue;
      const upload = { file, key, state: "waiting", offset: 0, address: localStorage.getItem(key), text: "" };
      this.all.push(upload);
      this.changed(upload);
    }
    this.next();
  }

  pause(upload) {
    this.#set(upload, "paused");
    upload.abort?.abort();
    this.next();
  }

  resume(upload) {
    this.#set(upload, "waiting");
    this.next();
  }

  async remove(upload) {
    const { address, state } = upload;
    this.#set(upload, "removed");
    upload.abort?.abort();
    this.all = this.all.filter((other) => other !== upload);
    this.changed(upload);
    this.next();
    localStorage.removeItem(upload.key);
    // What can't be removed now is removed by the service after a day.
    if (address && !ENDS.includes(state)) await tus("DELETE", address).catch(() => {});
  }

  next() {
    const running = this.all.filter((upload) => upload.state === "sending").length;
    for (const upload of this.all.filter((one) => one.state === "waiting").slice(0, AT_ONCE - running)) this.#send(upload);
  }

  #set(upload, state, text = "") {
    upload.state = state;
    upload.text = text;
    this.changed(upload);
  }

  async #send(upload) {
    this.#set(upload, "sending");
    upload.abort = new AbortController();
    const run = upload.abort;
    let failed = 0;
    while (upload.state === "sending" && upload.abort === run) {
      try {
        await this.#pieces(upload, run.signal, () => (failed = 0));
        if (upload.state === "sending") await this.#check(upload);
        break;
      } catch (error) {
        if (error.name === "AbortError") return;
        const again = !(error instanceof Problem) || [0, 409, 423, 429].includes(error.status) || error.status >= 500;
        if (!again || upload.state !== "sending") {
          if (upload.state === "sending") this.#fail(upload, error);
          break;
        }
        failed += 1;
        if (failed > 1) this.#set(upload, "sending", `${error.message} Trying again …`);
        await sleep(Math.min(LONGEST_WAIT, 250 * 2 ** failed));
      }
    }
    this.next();
  }

  #fail(upload, error) {
    // What was refused is not to be gone on with; what the person may not do, or has no room, may be another time.
    if (error.status === 422) localStorage.removeItem(upload.key);
    this.#set(upload, error.status === 422 ? "refused" : "failed", error.message);
  }

  async #pieces(upload, signal, well) {
    await this.#place(upload, signal);
    let size = 4 * SMALLEST;
    while (upload.offset < upload.file.size) {
      const began = performance.now();
      const response = await tus("PATCH", upload.address, {
        headers: { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(upload.offset) },
        body: upload.file.slice(upload.offset, upload.offset + size),
        signal,
      });
      upload.offset = Number(response.headers.get("Upload-Offset"));
      well();
      // A piece a second: the bar moves, and what is lost with a connection is little.
      const lasted = Math.max(1, performance.now() - began);
      size = Math.round(Math.min(LARGEST, Math.max(SMALLEST, Math.min(2 * size, (size * PIECE_MS) / lasted))));
      if (upload.state === "sending") this.#set(upload, "sending");
    }
  }

  /** Where to send it and from where on: an upload of this file that was left off, or a new one. */
  async #place(upload, signal) {
    if (upload.address) {
      try {
        const response = await tus("HEAD", upload.address, { signal });
        upload.offset = Number(response.headers.get("Upload-Offset"));
        return;
      } catch (error) {
        if (error.status !== 404) throw error;
      }
    }
    const metadata = `filename ${base64(upload.file.name)}`;
    const headers = { "Upload-Length": String(upload.file.size), "Upload-Metadata": metadata };
    const response = await tus("POST", "/api/v1/uploads", { headers, signal });
    upload.address = response.headers.get("Location");
    upload.offset = 0;
    localStorage.setItem(upload.key, upload.address);
  }

  async #check(upload) {
    for (;;) {
      const told = await api("GET", upload.address.replace("/api/v1", ""));
      if (ENDS.includes(told.state)) {
        localStorage.removeItem(upload.key);
        upload.name = told.name;
        this.#set(upload, told.state, told.reason ?? "");
        return;
      }
      this.#set(upload, "sending", told.reason ?? "Being looked at …");
      await sleep(CHECK_EVERY);
      if (upload.state !== "sending") return;
    }
  }
}
