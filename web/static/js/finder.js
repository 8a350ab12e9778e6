// The search box of the top bar: grouped results as one types; Enter without a choice opens the page of results.
import { ask } from "./net.js";
import { Options } from "./options.js";
import { remember } from "./recent.js";

const form = document.querySelector("[data-finder]");
if (form) wire(form);

function wire(form) {
  const input = form.querySelector("input");
  const list = form.querySelector(".finder-list");
  const options = new Options(input, list);
  let control = null;
  let timer = 0;

  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  async function suggest() {
    const words = input.value.trim();
    control?.abort();
    if (!words) return close();
    control = new AbortController();
    const mine = control;
    try {
      const answer = await ask(`/search/suggest?q=${encodeURIComponent(words)}`, { signal: mine.signal });
      if (mine.signal.aborted || document.activeElement !== input) return;
      list.replaceChildren(...document.adoptNode(answer.doc.body).childNodes);
      list.hidden = false;
      options.filled(false);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(suggest, 80);
  });
  input.addEventListener("focus", () => input.value.trim() && suggest());
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // a search field would empty itself
    if (list.hidden) input.blur();
    else close();
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", (event) => form.contains(event.target) || close());
  form.addEventListener("focusout", (event) => form.contains(event.relatedTarget) || setTimeout(close, 150));
  list.addEventListener("click", (event) => remember(event.target.closest("[role=option]")));
}
