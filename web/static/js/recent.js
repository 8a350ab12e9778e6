// Records that this person opened last in this browser: for the palette. Kept under a name that says nothing, gone at logout.

const KEPT = 12;
const reader = document.querySelector('meta[name="reader"]')?.content;
const slot = `hw-recent-${reader}`;

export function recent() {
  try {
    return JSON.parse(localStorage.getItem(slot)) ?? [];
  } catch {
    return [];
  }
}

export function remember(link) {
  if (!link?.dataset?.record || !reader) return;
  put({ url: link.getAttribute("href"), label: link.dataset.record, side: link.dataset.side ?? "" });
}

function put(record) {
  const rest = recent().filter((known) => known.url !== record.url);
  localStorage.setItem(slot, JSON.stringify([record, ...rest].slice(0, KEPT)));
}

const here = document.querySelector("[data-record-page]");
if (here && reader) put({ url: location.pathname, label: here.dataset.recordPage, side: here.dataset.side ?? "" });

for (const form of document.querySelectorAll('form[action="/logout"]'))
  form.addEventListener("submit", () => {
    for (const name of Object.keys(localStorage)) if (name.startsWith("hw-recent-")) localStorage.removeItem(name);
  });
