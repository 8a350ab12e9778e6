// The Stream page looks again every two seconds, unless it is paused, hidden, or somebody is at one of its forms.
import { ask, Unreachable } from "./net.js";
import { put } from "./swap.js";

const EVERY = 2000;
const live = () => document.querySelector("[data-stream]");
let paused = false;
let asking = false;

async function look() {
  const panel = live();
  if (!panel || paused || asking || document.hidden || panel.getAttribute("aria-busy") === "true") return;
  asking = true;
  try {
    const answer = await ask(panel.dataset.src, { accept401: false });
    const fresh = answer.doc.getElementById(panel.id);
    if (!fresh) return say(answer.status === 401 ? "Your session has ended: reload to log in." : "No answer; asking again.");
    if (paused || !panel.isConnected || panel.getAttribute("aria-busy") === "true") return;
    keep(panel, fresh);
    say("");
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    say("There is no connection to Headwater; asking again.");
  } finally {
    asking = false;
  }
}

/** Puts the news in; what was opened stays open, what was scrolled stays where it is. */
function keep(old, fresh) {
  const open = [...old.querySelectorAll("details[open][id]")].map((details) => details.id);
  const scrolled = [...old.querySelectorAll(".table-box")].map((box) => [box.scrollTop, box.scrollLeft]);
  put(old, fresh);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  fresh.querySelectorAll(".table-box").forEach((box, place) => {
    [box.scrollTop, box.scrollLeft] = scrolled[place] ?? [0, 0];
  });
}

function say(words) {
  const said = document.querySelector("[data-stream-said]");
  const text = paused ? "Paused" : words;
  if (said && said.textContent !== text) said.textContent = text;
}

const button = document.querySelector("[data-stream-pause]");
if (button && live()) {
  button.hidden = false;
  document.querySelector("[data-stream-again]").hidden = true;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    say("");
    if (!paused) look();
  });
  setInterval(look, EVERY);
}
