// Making and revoking tokens.
import { api, ask, attempt, say } from "./api.js";

const form = document.getElementById("make");
const made = document.getElementById("made");
const token = document.getElementById("token");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const scopes = [...form.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
  if (!scopes.length) return say("Choose at least one thing that it may do.", "bad");
  const days = Number(form.elements.days.value);
  const body = { name: form.elements.name.value.trim(), scopes };
  if (days) body.expires_at = new Date(Date.now() + days * 86400e3).toISOString();
  await attempt(event.submitter, async () => {
    const answer = await api("POST", "/tokens", body);
    token.textContent = answer.token;
    made.hidden = false;
    form.reset();
  });
});

document.getElementById("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(token.textContent);
    say("Copied.", "good");
  } catch {
    // Without TLS a browser has no clipboard for pages.
    getSelection().selectAllChildren(token);
    say("Selected: copy it with the keyboard.");
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-revoke]");
  if (!button) return;
  const { revoke, name } = button.dataset;
  if (!(await ask(`Revoke ${name}? Whatever uses it stops working at once.`, { yes: "Revoke", danger: true }))) return;
  if (await attempt(button, () => api("DELETE", `/tokens/${revoke}`), `${name} is revoked.`)) button.closest("tr").remove();
});
