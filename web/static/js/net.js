// Requests of the application's own: they say that they want a part of a page, and deal with the end of a session.

export const token = () => document.querySelector('meta[name="csrf-token"]').content;

/** Elements of an answer's HTML. Scripts in it never run: templates and DOMParser keep them inert, the policy refuses them. */
export function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

export class Unreachable extends Error {}

/**
 * Fetches a page or part. Answers {ok, status, doc, url}; throws Unreachable when nobody answers, AbortError when aborted.
 * A session that ended asks for the login in a dialog and sends the same request again.
 */
export async function ask(url, { method = "GET", body = null, signal = null, accept401 = true } = {}) {
  const headers = { "HW-Fragment": "1" };
  if (method !== "GET") headers["X-CSRFToken"] = token();
  let response;
  try {
    response = await fetch(url, { method, body, headers, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("There is no connection to Headwater.");
  }
  const goal = response.headers.get("HW-Location");
  if (goal) {
    window.dispatchEvent(new CustomEvent("hw:leaving"));
    location.assign(goal);
    return new Promise(() => {});
  }
  const doc = parsed(await response.text());
  if (response.status === 401 && response.headers.has("HW-Login") && accept401) {
    if (await loggedIn(doc)) return ask(url, { method, body, signal });
    return { ok: false, cancelled: true, status: 401, doc, url: response.url };
  }
  return { ok: response.ok, status: response.status, doc, url: response.url };
}

let pending = null;

/** Shows the login dialog once, however many requests met the end of the session; true when the person is back. */
function loggedIn(doc) {
  pending ??= new Promise((done) => {
    const dialog = document.adoptNode(doc.querySelector("dialog"));
    document.body.append(dialog);
    let back = false;
    const wire = () => {
      dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
      dialog.querySelector("form").addEventListener("submit", async (event) => {
        event.preventDefault();
        const answer = await ask(event.target.action, {
          method: "POST",
          body: new URLSearchParams(new FormData(event.target)),
          accept401: false,
        }).catch(() => null);
        if (answer?.ok) {
          back = true;
          dialog.close();
        } else if (answer?.doc.querySelector("dialog")) {
          dialog.replaceChildren(...document.adoptNode(answer.doc.querySelector("dialog")).childNodes);
          wire();
          dialog.querySelector("[name=login_password]").focus();
        }
      });
    };
    wire();
    const before = document.activeElement;
    dialog.addEventListener("close", () => {
      dialog.remove();
      pending = null;
      before?.focus?.({ preventScroll: true });
      done(back);
    });
    dialog.showModal();
    dialog.querySelector("[name=login_username]").focus();
  });
  return pending;
}
