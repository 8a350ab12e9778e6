// What was done, in one sentence, for eight seconds; with its undo where it can be taken back.
import { ask, Unreachable } from "./net.js";
import { put } from "./swap.js";

const SHOWN_MS = 8000;
const region = () => document.getElementById("toasts");

export function toast(words, tone = "good") {
  const made = document.createElement("div");
  made.className = `toast ${tone}`;
  made.dataset.toast = "";
  if (tone === "bad") made.setAttribute("role", "alert");
  const text = document.createElement("p");
  text.textContent = words;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  made.append(text, close);
  region().append(made);
  wire(made);
}

/** Moves toasts that came with an answer to where toasts are. */
export function adopt(doc) {
  for (const found of doc.querySelectorAll("[data-toast]")) {
    const made = document.adoptNode(found);
    region().append(made);
    wire(made);
    document.dispatchEvent(new CustomEvent("hw:changed"));
  }
}

function wire(made) {
  let left = SHOWN_MS;
  let since = performance.now();
  let timer = setTimeout(() => made.remove(), left);
  const hold = () => {
    clearTimeout(timer);
    left -= performance.now() - since;
  };
  const go = () => {
    clearTimeout(timer);
    since = performance.now();
    timer = setTimeout(() => made.remove(), Math.max(left, 1500));
  };
  made.addEventListener("pointerenter", hold);
  made.addEventListener("pointerleave", go);
  made.addEventListener("focusin", hold);
  made.addEventListener("focusout", go);
  made.querySelector("[data-dismiss]").addEventListener("click", () => made.remove());
  made.querySelector("[data-undo]")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    hold();
    const form = event.target;
    form.querySelector("button").toggleAttribute("data-busy", true);
    try {
      const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      made.remove();
      if (!answer.ok) toast(answer.doc.querySelector("[data-failed] p")?.textContent ?? "It could not be taken back.", "bad");
      adopt(answer.doc);
      const fresh = answer.doc.body.firstElementChild;
      const old = fresh?.id && document.getElementById(fresh.id);
      if (old) put(old, fresh);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      form.querySelector("button").removeAttribute("data-busy");
      toast(error.message, "bad");
    }
  });
}

for (const found of document.querySelectorAll("#toasts [data-toast]")) wire(found);
