// The panel of manual control. Each order asks first, since viewers see what comes of it.
import { api, ask, attempt, station } from "./api.js";

const panel = document.getElementById("control");
const form = document.getElementById("by-hand");
const names = document.getElementById("by-hand-loops");

panel.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button) return;
  const yes = button.firstChild.textContent.trim();
  if (!(await ask(button.dataset.ask, { yes, danger: "danger" in button.dataset }))) return;
  await attempt(button, () => api("POST", button.dataset.post), button.dataset.done);
});

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const loop = form.elements.loop.value.trim();
  const wanted = form.elements.for.value;
  const body = { loop };
  if (!["track", "hold"].includes(wanted)) body.seconds = Number(wanted);
  const path = `/stations/${encodeURIComponent(station)}/${wanted === "hold" ? "hold" : "switch"}`;
  if (!(await ask(`Show ${loop}? Viewers see it at once.`, { yes: "Show it" }))) return;
  await attempt(event.submitter, () => api("POST", path, body), `${loop} is shown.`);
});

// The loops to choose from are asked for by whoever begins to write.
form?.elements.loop.addEventListener("focus", async () => {
  const { items } = await api("GET", "/loops?limit=500");
  names.replaceChildren(...items.map((item) => Object.assign(document.createElement("option"), { value: item.name })));
}, { once: true });

document.addEventListener("live", ({ detail }) => {
  const release = panel.querySelector("[data-release]");
  if (release) release.hidden = !detail.override;
  for (const its of detail.destinations) {
    const row = [...panel.querySelectorAll("[data-destination]")].find((one) => one.dataset.destination === its.name);
    for (const button of row?.querySelectorAll("[data-when]") ?? []) {
      button.hidden = (button.dataset.when === "wanted") !== its.wanted;
    }
  }
});
