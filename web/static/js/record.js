// Records: buttons that ask first in a dialog, Tab from fact to fact, older history, offers while one types.
import { ask, Unreachable } from "./net.js";
import { send } from "./swap.js";
import { toast } from "./toasts.js";

const said = (error) => {
  if (error.name === "AbortError") return;
  if (!(error instanceof Unreachable)) throw error;
  toast(error.message, "bad");
};

document.addEventListener("click", async (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
  const link = event.target.closest("a[data-ask], a[data-more], a[data-dismiss-ask]");
  const dialog = link?.closest("dialog");
  if (!link || (link.hasAttribute("data-dismiss-ask") && !dialog)) return;
  event.preventDefault();
  if (link.hasAttribute("data-dismiss-ask")) return dialog.close();
  const busy = setTimeout(() => link.toggleAttribute("data-busy", true), 100);
  try {
    const answer = await ask(link.href);
    if (answer.cancelled) return;
    if (link.hasAttribute("data-more")) older(link, answer);
    else show(answer, link);
  } catch (error) {
    said(error);
  } finally {
    clearTimeout(busy);
    link.removeAttribute("data-busy");
  }
});

/** The form of a button, over the page; sending it is the business of data-swap. */
function show(answer, opener) {
  const form = answer.doc.getElementById("ask");
  if (!form) return toast(answer.doc.querySelector("[data-failed] div")?.textContent.trim() ?? "That did not work. Try again.", "bad");
  const dialog = document.createElement("dialog");
  dialog.className = "ask-dialog";
  dialog.setAttribute("aria-labelledby", "ask-title");
  dialog.append(document.adoptNode(form));
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener.focus();
  });
  dialog.showModal();
  dialog.querySelector("input:not([type=hidden]), select, textarea, button")?.focus();
}

function older(link, answer) {
  const place = link.closest("li");
  const found = [...(answer.doc.querySelector(".history")?.children ?? [])];
  if (!found.length) return toast("The older history could not be loaded. Try again.", "bad");
  place.replaceWith(...found.map((entry) => document.adoptNode(entry)));
  found[0].querySelector("a, button, summary, [tabindex]")?.focus({ preventScroll: true });
}

const visible = (form) => [...form.querySelectorAll("input:not([type=hidden]), select, textarea")];

/** Tab in the last input of a fact saves it and goes on to the next fact; with Shift in the first one, to the one before. */
document.addEventListener("keydown", async (event) => {
  const form = event.target.closest?.(".fact-form");
  if (event.key !== "Tab" || !form || form.querySelector(".conflict") || event.ctrlKey || event.altKey || event.metaKey) return;
  const inputs = visible(form);
  if (event.target !== inputs.at(event.shiftKey ? 0 : -1)) return;
  event.preventDefault();
  const facts = () => [...document.querySelectorAll("[data-fact], .fact-form")].filter((found) => found.checkVisibility());
  const next = facts()[facts().indexOf(form) + (event.shiftKey ? -1 : 1)];
  const place = next?.closest("[id]").id;
  if (await send(form)) document.getElementById(place)?.querySelector("[data-fact], input:not([type=hidden])")?.focus();
});

let waiting = 0;
let running = null;

document.addEventListener("input", (event) => {
  const input = event.target.closest("input[data-lookup]");
  if (!input) return;
  clearTimeout(waiting);
  running?.abort();
  waiting = setTimeout(() => offer(input), 120);
});

async function offer(input) {
  running = new AbortController();
  const url = new URL(input.dataset.lookup, location.href);
  url.searchParams.set("q", input.value);
  try {
    const answer = await ask(url.href, { signal: running.signal });
    if (!answer.ok || !input.isConnected) return;
    input.list.replaceChildren(...[...answer.doc.querySelectorAll("option")].map((option) => document.adoptNode(option)));
  } catch (error) {
    said(error);
  }
}
