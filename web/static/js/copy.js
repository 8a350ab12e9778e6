// Ids copy themselves on click.
import { toast } from "./toasts.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast(`${button.dataset.copy} copied`, "info");
  } catch {
    getSelection().selectAllChildren(button);
    toast("Copy with Ctrl C: this browser does not let pages copy here", "warn");
  }
});
