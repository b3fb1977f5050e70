// What the parts of the mappings page share.

export const $ = (id) => document.getElementById(id);
export const root = $("mappings");
export const edits = root.dataset.edits === "yes";
export const controls = root.dataset.controls === "yes";
export const RULES = JSON.parse($("words").content.textContent);

/** An element with attributes, listeners (functions) and children; what is null or false is left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== false && child !== undefined));
  return made;
}

export const count = (number, word) => `${number.toLocaleString("en-GB")} ${word}${number === 1 ? "" : "s"}`;

/** A loop's still; page.js hides one that is not there. */
export const poster = (loop) =>
  el("img", { class: "poster", alt: "", loading: "lazy", src: `/api/v1/loops/poster?${new URLSearchParams({ name: loop })}` });

/** Call `action` once nothing has happened for a moment. */
export function settled(action, ms = 200) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), ms);
  };
}
