// The frame: rail, dialogs that close by their buttons and by a click beside them.

document.addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (action === "rail") {
    const narrow = document.documentElement.dataset.rail !== "narrow";
    if (narrow) document.documentElement.dataset.rail = "narrow";
    else delete document.documentElement.dataset.rail;
    document.cookie = `hw_rail=${narrow ? "narrow" : "wide"}; path=/; max-age=31536000; samesite=lax`;
    event.target.closest("button").setAttribute("aria-pressed", String(narrow));
  }
  if (action === "help") open("help");
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
  if (event.target.tagName === "DIALOG" && outside(event)) event.target.close();
});

export function open(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open || document.querySelector("dialog[open]")) return false;
  for (const shown of document.querySelectorAll("[popover]:popover-open")) shown.hidePopover();
  dialog.showModal();
  return true;
}

function outside(event) {
  const box = event.target.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}
