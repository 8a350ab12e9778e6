// Panels that load by themselves: each alone, each with its own failure and retry, each until it holds one's own write.
import { ask, Unreachable } from "./net.js";
import { put } from "./swap.js";
import { toast } from "./toasts.js";

const turns = new WeakMap();
const WAITS = [400, 600, 1000, 1500, 2500, 4000];
const running = new Map();

/** A panel's newest question ends the older one: its answer might not know of what was written between them. */
function begin(panel) {
  running.get(panel.id)?.abort();
  const control = new AbortController();
  running.set(panel.id, control);
  return control.signal;
}

export async function load(panel, turn = 0) {
  const signal = begin(panel);
  let answer;
  try {
    answer = await ask(panel.dataset.src, { signal });
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Unreachable)) throw error;
    return fail(panel, error.message);
  }
  if (!panel.isConnected || answer.cancelled) return;
  if (held(panel)) return again(panel, turn); // somebody has begun to type since it was asked for
  const fresh = answer.doc.getElementById(panel.id);
  if (!answer.ok || !fresh) return fail(panel, null, answer.doc.querySelector("[data-failed]"));
  turns.set(fresh, turn);
  // The verdict on chosen rows stays to be read while the rows below it come up to date.
  const outcome = panel.querySelector(".outcome");
  if (outcome) fresh.querySelector(".list-form, .empty")?.before(outcome);
  put(panel, fresh);
}

/** Asks again until the panel holds one's own write; one that somebody is busy in is left alone meanwhile. */
function again(panel, turn) {
  if (turn >= 60) return;
  const signal = begin(panel);
  setTimeout(() => {
    if (!panel.isConnected || signal.aborted) return;
    if (held(panel)) again(panel, turn + 1);
    else load(panel, turn + 1);
  }, WAITS[Math.min(turn, WAITS.length - 1)]);
}

// What somebody types or chooses in a panel outlives the news.
const BUSY = ".outcome:focus-within, form[data-inline], tbody :checked, [popover]:popover-open, form:focus-within:not(.list-form)";
const held = (panel) => panel.querySelector(BUSY);

function fail(panel, words, said = null) {
  const body = panel.querySelector(".panel-body");
  panel.removeAttribute("aria-busy");
  panel.removeAttribute("data-later");
  if (!body) return toast("What you see could not be brought up to date. Reload the page to try again.", "warn");
  body.className = "panel-body";
  if (!said) {
    said = document.getElementById("failed-panel").content.firstElementChild.cloneNode(true);
    if (words) said.querySelector("p").textContent = words;
  }
  const adopted = document.adoptNode(said);
  const name = panel.dataset.name ?? panel.querySelector("h2")?.textContent.trim();
  const title = adopted.querySelector("strong");
  if (name && title) title.textContent = `${name}: ${title.textContent}`;
  body.replaceChildren(adopted);
  body.querySelector("[data-retry]").addEventListener("click", (event) => {
    event.preventDefault();
    event.target.toggleAttribute("data-busy", true);
    load(panel);
  });
}

function start(root) {
  const found = [...(root.matches?.("[data-src]") ? [root] : []), ...root.querySelectorAll("[data-src]")];
  for (const panel of found) {
    if (panel.hasAttribute("data-later")) load(panel);
    else if (panel.hasAttribute("data-updating")) again(panel, turns.get(panel) ?? 0);
  }
}

/** Loads every panel of the page that shows what a command may have changed; one within another comes with it. */
export function refresh() {
  for (const panel of document.querySelectorAll("[data-src]:not([data-src] *)")) {
    if (held(panel)) again(panel, 0);
    else load(panel);
  }
}

document.addEventListener("hw:changed", refresh);
document.addEventListener("hw:fresh", (event) => event.detail.querySelectorAll && start(event.detail));
start(document);
