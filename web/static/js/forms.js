// Forms: progress after 100 ms, once only, a question before unsaved text is left, Escape ends editing in place.
import { ask } from "./net.js";
import { swap } from "./swap.js";

const touched = new Set();
let leaving = false;

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-guard], form[data-inline]");
  if (form) touched.add(form);
});
window.addEventListener("hw:leaving", () => (leaving = true));
window.addEventListener("beforeunload", (event) => {
  if (leaving) return;
  for (const form of touched) if (form.isConnected && changed(form)) return event.preventDefault();
});

function changed(form) {
  return [...form.elements].some((field) =>
    field.type === "checkbox" || field.type === "radio"
      ? field.checked !== field.defaultChecked
      : field.tagName === "SELECT"
        ? [...field.options].some((option) => option.selected !== option.defaultSelected) && field.value !== ""
        : "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue,
  );
}

/** A whole-page form goes out by fetch, so that the end of a session or a lost connection leaves what was typed. */
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (!form.matches("[data-guard]")) {
    const button = event.submitter;
    setTimeout(() => button?.toggleAttribute("data-busy", true), 100);
    return;
  }
  event.preventDefault();
  const region = form.closest("[data-form]") ?? form;
  if (!region.id) throw new Error("a guarded form stands in an element with an id");
  await swap(form.action, `#${region.id}`, { from: event.submitter ?? form, method: "POST", body: withButton(form, event.submitter) });
});

function withButton(form, button) {
  const data = new FormData(form);
  if (button?.name) data.set(button.name, button.value);
  return new URLSearchParams(data);
}

document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.("form[data-inline]");
  if (!form) return;
  if (event.key === "Escape") {
    event.preventDefault();
    form.querySelector("[data-cancel]")?.click();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

for (const form of document.querySelectorAll("form[data-theme-form]"))
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const theme = event.submitter.value;
    document.documentElement.dataset.theme = theme;
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === theme));
    ask(form.action, { method: "POST", body: withButton(form, event.submitter) }).catch(() => null);
  });

/** The summary of what is wrong leads into the field, not only to it. */
document.addEventListener("click", (event) => {
  const field = event.target.closest(".summary a[href^='#']")?.hash.slice(1);
  const found = field && document.getElementById(field);
  if (!found) return;
  event.preventDefault();
  found.focus();
});

document.querySelector("[data-focus]")?.focus();
