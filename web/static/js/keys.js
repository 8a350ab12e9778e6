// Keys: "/" search, Ctrl K commands, g and a letter to go, "?" help, and whatever the page marks with data-key.
import { open } from "./shell.js";
import { show as palette } from "./palette.js";

const TYPED = "input:not([type=checkbox]), textarea, select, [contenteditable]";
let going = 0;

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    palette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (event.target.closest?.(TYPED) || document.querySelector("dialog[open]")) return;
  if (going && performance.now() - going < 1500) {
    going = 0;
    const place = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (place) {
      event.preventDefault();
      location.assign(place.href);
    }
    return;
  }
  if (event.key === "g") going = performance.now();
  else if (event.key === "/") {
    event.preventDefault();
    document.querySelector("[data-slash]")?.select();
    document.querySelector("[data-slash]")?.focus();
  } else if (event.key === "?") open("help");
  else {
    const found = [...document.querySelectorAll(`[data-key="${CSS.escape(event.key)}"]`)].find((e) => e.checkVisibility());
    if (found) {
      event.preventDefault();
      found.click();
    }
  }
});
