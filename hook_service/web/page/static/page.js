// What every page does by itself.
import { tellTimes } from "./api.js";

tellTimes();
setInterval(() => document.hidden || tellTimes(), 1000);

// A loop without a picture has none to show; images tell only after the fact, and their events don't bubble.
document.addEventListener("load", (event) => event.target.matches?.("img.poster") && (event.target.hidden = false), true);
document.addEventListener("error", (event) => event.target.matches?.("img.poster") && (event.target.hidden = true), true);
