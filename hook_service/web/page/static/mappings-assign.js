// The dialog in which a loop is chosen: suggestions, a search, what it would come to, and a look at it on the air.
import { api, ask, attempt, Problem, say, station } from "./api.js";
import { isOnAir } from "./mappings-air.js";
import { $, controls, count, el, poster, settled } from "./mappings-dom.js";

const TRIAL = 60;
const dialog = $("assigning");
const form = dialog?.querySelector("form");
let now;
let suggested = [];
let round = 0;

const loopChosen = () => form.querySelector("input[name=loop]:checked")?.value;

const order = (dry) => ({
  station,
  loop_file_path: loopChosen(),
  kind: form.elements.kind.value,
  everywhere: form.elements.everywhere?.checked ?? true,
  dry_run: dry,
  ...now.which,
});

function option(loop, note) {
  return el("label", {}, el("input", { type: "radio", name: "loop", value: loop }), poster(loop), el("span", {}, el("span", { class: "loop" }, loop), note && el("small", {}, note)));
}

async function list() {
  const mine = (round += 1);
  const q = $("loop-search").value.trim();
  const found = [];
  try {
    const answer = await api("GET", `/loops?${new URLSearchParams({ limit: 50, ...(q && { q }) })}`);
    found.push(...answer.items.map((loop) => loop.name));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(error.message, "bad");
  }
  if (mine !== round) return;
  // Each once, with what is first said of it.
  const notes = new Map();
  const add = (loop, note) => notes.has(loop) || notes.set(loop, note);
  if (!q) {
    if (now.offer) add(now.offer, "Chosen in the library");
    for (const one of suggested) add(one.loop, `Suggested: it ${one.reason.replace(/ it$/, "")}`);
  }
  for (const loop of found) add(loop);
  const options = [...notes].map(([loop, note]) => option(loop, note));
  const kept = loopChosen() ?? now.offer;
  $("loop-list").replaceChildren(...(options.length ? options : [el("p", {}, "No loop is called like this.")]));
  // What was chosen stays so, as long as it is there.
  for (const radio of form.querySelectorAll("input[name=loop]")) radio.checked = radio.value === kept;
  plan();
}

/** Say what the order would come to. */
async function plan() {
  const chosen = loopChosen();
  $("do-assign").disabled = !chosen;
  $("try").hidden = !(controls && chosen);
  $("planned").textContent = "";
  if (!chosen) return;
  const asked = now;
  try {
    const found = await api("PUT", "/mappings/bulk", order(true));
    if (asked !== now || loopChosen() !== chosen) return;
    $("planned").textContent = `It would be: ${sentence(found)}`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    $("planned").textContent = error.message;
    $("do-assign").disabled = true;
  }
}

function sentence(found) {
  const parts = [];
  if (found.created) parts.push(`${count(found.created, "mapping")} made`);
  if (found.replaced) parts.push(`${found.created ? found.replaced : count(found.replaced, "mapping")} replaced`);
  if (found.unchanged) parts.push(`${found.unchanged} as before`);
  let text = `${parts.join(", ") || "Nothing to change"}.`;
  if (found.skipped) text += ` ${count(found.skipped, "song")} left out: nothing to map by.`;
  if (found.overruled) text += ` ${count(found.overruled, "song")} keep another loop by a closer rule.`;
  return text;
}

/** When viewers see it: a picture stays for as long as its song. */
function when() {
  if (now.song && isOnAir(now.song)) return "The song is on the air now: it is seen when it plays again.";
  return now.song ? "It is seen when the song begins next." : "They are seen when the songs begin next.";
}

async function tryIt() {
  const loop = loopChosen();
  if (!(await ask(`Show ${loop} on the air for a minute? Viewers see it at once.`, { yes: "Show it" }))) return;
  await attempt(
    $("try"),
    () => api("POST", `/stations/${encodeURIComponent(station)}/switch`, { loop, seconds: TRIAL }),
    `${loop} is on the air for a minute.`,
  );
}

/**
 * Have a loop chosen and mapped. `which` is what the API knows the songs by, `number` how many they are; `song` is the one
 * that it is about, where it is one; `offer` is a loop that is chosen beforehand. Whether it was done.
 */
export async function assign({ which, number, song, name, playlist, offer }) {
  now = { which, song, offer };
  suggested = [];
  const title = name ?? (song ? [song.artist, song.title].filter(Boolean).join(" – ") : count(number, "song"));
  $("assigning-head").textContent = `A loop for ${title}`;
  form.reset();
  $("of-playlist").hidden = !playlist;
  $("of-playlist").querySelector("span").textContent = playlist ? `the playlist ${playlist}` : "";
  $("loop-list").replaceChildren(el("p", {}, "Loops are asked for."));
  $("planned").textContent = "";
  $("do-assign").disabled = true;
  $("try").hidden = true;
  dialog.returnValue = "";
  dialog.showModal();
  $("loop-search").focus();
  if (song) {
    try {
      suggested = (await api("GET", `/songs/${song.id}/suggestions`)).items;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }
  list();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "done"), { once: true }));
}

if (dialog) {
  $("loop-search").addEventListener("input", settled(list));
  // Enter anywhere is the button that maps, once there is something to map.
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.target === form && !$("do-assign").disabled) $("do-assign").click();
  });
  $("do-cancel").addEventListener("click", () => dialog.close(""));
  form.addEventListener("change", (event) => event.target !== $("loop-search") && plan());
  $("try").addEventListener("click", tryIt);
  $("do-assign").addEventListener("click", async () => {
    const well = await attempt($("do-assign"), () => api("PUT", "/mappings/bulk", order(false)), (done) => `${sentence(done)} ${when()}`);
    if (well) dialog.close("done");
  });
}
