// Lists: j and k move, Enter opens, x chooses, Shift click chooses a range; what is chosen is counted.

const table = () => document.querySelector("table[data-list]");
const rows = () => [...(table()?.querySelectorAll("tr[data-row]") ?? [])];
let last = null;

document.addEventListener("keydown", (event) => {
  if (!table() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog[open], [popover]:popover-open")) return;
  if (event.key === "j" || event.key === "k") {
    event.preventDefault();
    move(event.key === "j" ? 1 : -1);
  } else if (event.key === "x") {
    const box = here()?.querySelector("input[type=checkbox]");
    if (!box) return;
    event.preventDefault();
    box.click();
  } else if (event.key === "Escape" && table().querySelector("tbody :checked")) {
    clear();
  }
});

const here = () => document.querySelector("tr.here") ?? document.activeElement?.closest("tr[data-row]");

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(here());
  const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
  mark(next);
  next.querySelector("a").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function mark(row) {
  for (const old of document.querySelectorAll("tr.here")) old.classList.remove("here");
  row?.classList.add("here");
}

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("tr[data-row]");
  if (row || !event.target.closest(".bulk-bar")) mark(row);
});

document.addEventListener("click", (event) => {
  const box = event.target.closest("tbody input[name=ids]");
  if (!box) return;
  const all = [...table().querySelectorAll("input[name=ids]")];
  if (event.shiftKey && last?.isConnected) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const between of all.slice(from, to + 1)) between.checked = box.checked;
  }
  last = box;
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]"))
    for (const box of table().querySelectorAll("input[name=ids]")) box.checked = event.target.checked;
  if (event.target.closest("[data-list]")) count();
});
document.addEventListener("reset", () => setTimeout(count));

function clear() {
  for (const box of table().querySelectorAll("input[type=checkbox]")) box.checked = false;
  count();
}

function count() {
  const words = document.querySelector("[data-chosen]");
  if (!words) return;
  const all = table().querySelectorAll("input[name=ids]");
  const chosen = table().querySelectorAll("input[name=ids]:checked").length;
  words.textContent = `${chosen} chosen`;
  const head = table().querySelector("[data-all]");
  head.checked = chosen === all.length;
  head.indeterminate = chosen > 0 && chosen < all.length;
}

// A table wider than its box scrolls in it; one that fits lets its head stick to the window.
function fit() {
  const box = document.querySelector(".list-box");
  if (!box) return;
  box.classList.add("wide");
  box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
}
window.addEventListener("resize", fit);
document.addEventListener("hw:fresh", () => {
  fit();
  count();
});
fit();
