// The import of a CSV: looked through first, then done. A long file is sent in parts, each with the head.
import { api, attempt } from "./api.js";
import { $, count, el } from "./mappings-dom.js";

const PART = 120_000;

/** A file's head, and its records in parts of a size that the service takes: `{text, first}`, the first line's number. */
export function partsOf(text, most = PART) {
  const lines = text.replace(/^\ufeff/, "").split(/(?<=\n)/);
  const records = [];
  let open = "";
  let begins = 1;
  for (const [place, line] of lines.entries()) {
    if (!open) begins = place + 1;
    open += line;
    // Inside quotes a record goes on over the end of its line.
    if ((open.match(/"/g) ?? []).length % 2) continue;
    records.push({ text: open, line: begins });
    open = "";
  }
  if (open) records.push({ text: open, line: begins });
  const [head, ...rest] = records;
  const size = (record) => new TextEncoder().encode(record).length;
  const parts = [];
  let part = null;
  for (const record of rest) {
    if (!part || part.size + size(record.text) > most) {
      // The head stands for the line before the part's first.
      part = { text: head.text, first: record.line - head.text.split("\n").length + 1, size: size(head.text) };
      parts.push(part);
    }
    part.text += record.text;
    part.size += size(record.text);
  }
  return parts.length ? parts : [{ text: head?.text ?? "", first: 1 }];
}

async function send(parts, dry) {
  const sum = { created: 0, replaced: 0, unchanged: 0, blank: 0, bad: 0, bad_lines: [], missing_loops: [] };
  for (const { text, first } of parts) {
    const found = await api("POST", "/mappings/import", { csv: text, first_line: Math.max(1, first), dry_run: dry });
    for (const [key, value] of Object.entries(sum)) {
      if (Array.isArray(value)) value.push(...found[key]);
      else sum[key] += found[key];
    }
  }
  return sum;
}

function sentence(sum) {
  const { created, replaced, unchanged, blank, bad } = sum;
  return `${count(created, "mapping")} made, ${replaced} replaced, ${unchanged} as before; ${count(blank, "line")} without a loop, ${count(bad, "line")} wrong.`;
}

function wrong(lines) {
  const head = el("tr", {}, el("th", { scope: "col" }, "Line"), el("th", { scope: "col" }, "What is wrong"));
  const rows = lines.map(({ line, reason }) => el("tr", {}, el("td", {}, String(line)), el("td", {}, reason)));
  const attributes = { class: "bad-lines", tabindex: "0", role: "region", "aria-label": "Lines that are wrong" };
  return el("div", attributes, el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
}

function show(file, parts, sum, after) {
  const missing = [...new Set(sum.missing_loops)];
  const change = sum.created + sum.replaced;
  const button = el(
    "button",
    {
      type: "button",
      class: "primary",
      disabled: change === 0,
      click: async () => {
        const well = await attempt(button, () => send(parts, false), sentence);
        if (!well) return;
        $("imported").hidden = true;
        $("csv").value = "";
        after();
      },
    },
    `Import ${count(change, "mapping")}`,
  );
  const told = [
    el("h3", {}, file.name),
    el("p", {}, sentence(sum)),
    missing.length > 0 && el("p", { class: "note" }, `Not uploaded yet: ${missing.slice(0, 20).join(", ")}.`),
    sum.bad > 0 && wrong(sum.bad_lines),
    button,
  ];
  $("imported").replaceChildren(...told.filter(Boolean));
  $("imported").hidden = false;
}

/** Watch the field for a file; `after` is called once something was imported. */
export function importing(after) {
  $("csv").addEventListener("change", async () => {
    const [file] = $("csv").files;
    if (!file) return;
    await attempt($("csv"), async () => {
      const parts = partsOf(await file.text());
      show(file, parts, await send(parts, true), after);
    });
  });
}
