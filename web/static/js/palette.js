// Ctrl K: go somewhere, do something, open something seen lately, or find anything.
import { ask } from "./net.js";
import { Options } from "./options.js";
import { recent, remember } from "./recent.js";
import { open } from "./shell.js";

const dialog = document.getElementById("palette");
let options = null;
let actions = null;
let control = null;
let timer = 0;
let eager = false;

export async function show() {
  if (!dialog || !open("palette")) return;
  const input = document.getElementById("palette-input");
  const list = document.getElementById("palette-list");
  options ??= wire(input, list);
  input.value = "";
  eager = false;
  input.focus();
  try {
    actions ??= (await ask("/palette")).doc.querySelector(".options");
  } catch {
    actions = null;
  }
  fill();
  if (eager && dialog.open) options.chosen?.click();
}

function wire(input, list) {
  // Enter before the actions have come counts once they are there.
  input.addEventListener("keydown", (event) => (eager ||= event.key === "Enter" && !actions));
  input.addEventListener("input", () => {
    if (actions) fill();
    clearTimeout(timer);
    timer = setTimeout(find, 100);
  });
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    remember(option);
    const form = option.dataset.submits && document.querySelector(option.dataset.submits);
    const press = option.dataset.press && document.querySelector(option.dataset.press);
    dialog.close();
    if (form) form.requestSubmit();
    if (press) press.click();
  });
  return new Options(input, list);
}

function fill(found = null) {
  const list = document.getElementById("palette-list");
  const words = document.getElementById("palette-input").value.trim().toLowerCase().split(/\s+/);
  const box = (actions ?? document.createElement("div")).cloneNode(true);
  box.className = "options";
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", "Commands");
  box.id = "palette-options";
  if (words.join("") === "" && recent().length) box.prepend(lately());
  for (const option of box.querySelectorAll("[role=option]")) {
    const text = `${option.textContent} ${option.dataset.also ?? ""}`.toLowerCase();
    option.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of box.querySelectorAll("[role=group]"))
    group.hidden = ![...group.querySelectorAll("[role=option]")].some((option) => !option.hidden);
  if (found) box.append(...found);
  if (!box.querySelector("[role=option]:not([hidden])")) {
    const none = document.createElement("p");
    none.className = "empty";
    none.textContent = "Nothing by that name.";
    list.replaceChildren(none);
  } else list.replaceChildren(box);
  options.filled(true);
}

function lately() {
  const group = document.createElement("div");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Seen lately");
  const head = document.createElement("div");
  head.className = "group-name";
  head.setAttribute("role", "presentation");
  head.textContent = "Seen lately";
  group.append(head);
  recent().slice(0, 6).forEach((record, number) => {
    const option = document.createElement("a");
    option.className = "option";
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.id = `palette-recent-${number}`;
    option.tabIndex = -1;
    option.href = record.url;
    const text = document.createElement("span");
    text.className = "option-text";
    text.textContent = record.label;
    const side = document.createElement("span");
    side.className = "option-side";
    side.textContent = record.side;
    option.append(text, side);
    group.append(option);
  });
  return group;
}

async function find() {
  const words = document.getElementById("palette-input").value.trim();
  control?.abort();
  if (words.length < 2) return;
  control = new AbortController();
  const mine = control;
  try {
    const answer = await ask(`/search/suggest?in=palette&q=${encodeURIComponent(words)}`, { signal: mine.signal });
    if (!mine.signal.aborted && answer.ok) fill(document.adoptNode(answer.doc.body).querySelectorAll("[role=group]"));
  } catch (error) {
    if (error.name !== "AbortError") return;
  }
}

document.addEventListener("click", (event) => event.target.closest('[data-action="palette"]') && show());
