// Ages grow while one looks: "as of 2 s ago" each second, "5 min ago" each half minute.

const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [604800, 86400, "d"]];

export function words(iso) {
  const seconds = Math.floor((Date.now() - new Date(iso)) / 1000);
  if (seconds < 1) return "just now";
  for (const [below, unit, name] of STEPS) if (seconds < below) return `${Math.floor(seconds / unit)} ${name} ago`;
  return null;
}

function tick(slow) {
  if (document.hidden) return;
  for (const chip of document.querySelectorAll("[data-as-of]")) {
    const text = words(chip.dataset.asOf);
    if (text) chip.querySelector(".fresh-text").textContent = `as of ${text}`;
    chip.classList.toggle("old", Date.now() - new Date(chip.dataset.asOf) > 60000);
  }
  if (!slow) return;
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = words(time.dateTime);
    if (text) time.textContent = text;
  }
}

let turns = 0;
setInterval(() => tick(++turns % 30 === 0), 1000);
