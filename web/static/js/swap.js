// Links and forms that replace a part of the page: data-swap="#id" names it. Focus and scroll stay; history works.
import { ask, Unreachable } from "./net.js";
import { adopt, toast } from "./toasts.js";

const running = new Map();
let changes = 0;
document.addEventListener("hw:changed", () => changes++);
// A page that is left waits for nothing: whoever comes back to it as it was can send its forms again.
window.addEventListener("hw:leaving", () => running.clear());

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.defaultPrevented) return;
  event.preventDefault();
  swap(link.href, link.dataset.swap, { from: link, history: link.hasAttribute("data-history") });
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-swap]");
  if (!form || event.defaultPrevented) return;
  event.preventDefault();
  send(form, event.submitter);
});

/** Submits a form for a part of the page. Resolves to true when it was accepted. */
export function send(form, submitter = null) {
  const data = new FormData(form);
  // A pressed button's own value stands for a field of the same name.
  if (submitter?.name) data.set(submitter.name, submitter.value);
  const get = form.method === "get";
  const url = new URL(submitter?.getAttribute("formaction") ?? form.action, location.href);
  if (get) {
    const query = new URLSearchParams(data);
    for (const [name, value] of [...query]) if (value === "") query.delete(name, value);
    url.search = query;
  }
  return swap(url.href, form.dataset.swap, {
    from: submitter ?? form,
    method: get ? "GET" : "POST",
    body: get ? null : new URLSearchParams(data),
    history: form.hasAttribute("data-history"),
  });
}

/**
 * Replaces ``selector`` by the element of the same id in the answer, or by the answer's first element. The newest question
 * ends an older one, but a command that was sent is waited for: it may be done already, and its answer says what became of it.
 */
export async function swap(url, selector, { from = null, method = "GET", body = null, history: remember = false } = {}) {
  const target = document.querySelector(selector);
  if (!target) return location.assign(url);
  if (running.get(selector)?.sent) return false;
  running.get(selector)?.control.abort();
  const control = new AbortController();
  const own = { control, sent: method !== "GET" };
  running.set(selector, own);
  const known = changes;
  const busy = setTimeout(() => from?.toggleAttribute?.("data-busy", true), 100);
  target.setAttribute("aria-busy", "true");
  try {
    const answer = await ask(url, { method, body, signal: control.signal });
    if (answer.cancelled) return false;
    const fresh = answer.doc.querySelector(selector) ?? (answer.doc.querySelector("[data-failed]") ? null : answer.doc.body.firstElementChild);
    if (!fresh) {
      const said = answer.doc.querySelector("[data-failed]");
      toast(said ? said.querySelector("div").textContent.trim() : "That did not work. Try again.", "bad");
      return false;
    }
    // The panel around it may have come up to date meanwhile, and the target with it.
    put(target.isConnected ? target : (document.querySelector(selector) ?? target), fresh);
    // Asked for before something was changed, and answered after: it may show what stood there before.
    if (known !== changes) document.dispatchEvent(new CustomEvent("hw:changed"));
    adopt(answer.doc);
    if (remember) {
      history.pushState({ swap: selector }, "", url);
      shown = address();
      if (answer.doc.title) document.title = answer.doc.title;
    }
    return answer.ok;
  } catch (error) {
    if (error.name === "AbortError") return false;
    if (!(error instanceof Unreachable)) throw error;
    toast("There is no connection to Headwater. What you typed is still here.", "bad");
    return false;
  } finally {
    clearTimeout(busy);
    from?.removeAttribute?.("data-busy");
    document.querySelector(selector)?.removeAttribute("aria-busy");
    if (running.get(selector) === own) running.delete(selector);
  }
}

/** Puts ``fresh`` where ``old`` stands. Focus goes to the same control, an error, the field of a form, or stays out. */
export function put(old, fresh) {
  const had = old.contains(document.activeElement) ? document.activeElement : null;
  const trace = had && path(had, old);
  const caret = had && "selectionStart" in had ? [had.selectionStart, had.selectionEnd] : null;
  keep(old, fresh);
  old.replaceWith(document.adoptNode(fresh));
  document.dispatchEvent(new CustomEvent("hw:fresh", { detail: fresh }));
  const wanted =
    fresh.querySelector("[data-focus]") ??
    fresh.querySelector("[data-inline] :is(input:not([type=hidden]), select, textarea)") ??
    (trace && find(trace, fresh));
  if (!had && !fresh.querySelector("[data-focus], [data-inline]")) return;
  if (wanted) {
    wanted.focus({ preventScroll: Boolean(trace) });
    if (caret && wanted.id === had.id && wanted.setSelectionRange && caret[0] !== null) wanted.setSelectionRange(...caret);
    else if (wanted.closest("[data-inline]") && wanted.select) wanted.select();
  }
}

/** What loads later of the same address shows what stood there until then: figures that stay the same do not blink. */
function keep(old, fresh) {
  for (const later of fresh.querySelectorAll("[data-later]")) {
    const stood = old.querySelector(`#${CSS.escape(later.id)}:not([data-later])`);
    if (stood?.dataset.src === later.dataset.src) later.replaceChildren(...stood.childNodes);
  }
}

const path = (element, root) => ({
  id: element.id,
  name: element.getAttribute("name"),
  value: element.tagName === "BUTTON" || element.type === "checkbox" ? element.value : null,
  href: element.getAttribute("href"),
  first: root.querySelector("a[href], button, input:not([type=hidden])") === element,
});

function find(trace, root) {
  if (trace.id && root.querySelector(`#${CSS.escape(trace.id)}`)) return root.querySelector(`#${CSS.escape(trace.id)}`);
  for (const found of root.querySelectorAll("[name]:not([type=hidden])"))
    if (trace.name && found.getAttribute("name") === trace.name && (trace.value === null || found.value === trace.value)) return found;
  for (const found of root.querySelectorAll("[href]")) if (trace.href && found.getAttribute("href") === trace.href) return found;
  return root.querySelector("a[href], button, input:not([type=hidden])");
}

// Going back to another address loads it anew; a step to a place within the page leaves everything as it is.
const address = () => location.pathname + location.search;
let shown = address();
window.addEventListener("popstate", () => address() !== shown && location.reload());
