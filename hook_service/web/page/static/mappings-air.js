// What is on the air and what comes next, above the songs: whoever maps one wants to know when it will be seen.
import { station } from "./api.js";
import { $, el } from "./mappings-dom.js";

const EVERY = 2000;
let told = {};

const name = (song) => [song.artist, song.title].filter(Boolean).join(" – ");
const same = (one, other) => Boolean(one && other) && one.artist === other.artist && one.title === other.title;

/** Whether a song of the library is the one on the air, as far as is known. */
export const isOnAir = (song) => same(told.track, song);

/** Keep it up to date; `pick(song)` is called with the song that the person wants to see. */
export function air(pick) {
  let text = "";

  function line(words, song) {
    if (!song || !name(song)) return null;
    return el("p", {}, `${words}: `, el("button", { type: "button", class: "link", click: () => pick(song) }, name(song)));
  }

  async function look() {
    try {
      const response = await fetch(`/live?${new URLSearchParams({ station })}`, { signal: AbortSignal.timeout(5000) });
      if (response.ok) told = await response.json();
      else if (response.status === 401) return;
    } catch {
      // What was known stays; the songs say it where the service is away.
    }
    const { track, next } = told;
    const now = JSON.stringify([track?.artist, track?.title, next?.artist, next?.title]);
    if (now !== text) {
      text = now;
      const lines = [line("On the air", track), line("Next", next)].filter(Boolean);
      const focused = [...$("air").querySelectorAll("button")].indexOf(document.activeElement);
      $("air").replaceChildren(...lines);
      $("air").hidden = !lines.length;
      if (focused >= 0) ($("air").querySelectorAll("button")[focused] ?? $("f-q")).focus();
    }
    setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", look, { once: true }) : look()), EVERY);
  }

  look();
}
