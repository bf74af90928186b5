// Saving by itself: soon after every change, one request at a time, and never over what somebody else has saved.

import { ApiError, put } from "./api.js";
import { h, note } from "./dom.js";

const WAIT = 300;

/** Keep the contents of a file saved while a view is shown.
 *
 *  address: where PUT takes { revision, content } and answers { revision } (or 409, see web/revisions.py)
 *  revision: of what was read
 *  content: () => what to save now; at first, what was read
 *  reload: () => show what the server has, after somebody else has saved
 *  shown: (state) => called with "saved", "saving", "changed", "failed" or "conflict"
 *
 *  Returns { changed(), flush(), draft }. What a page that is closed could not send any more is kept in the browser: `draft` is
 *  that content when the file is opened the next time, to be shown and followed by changed(); null if there is none. */
export function autosave(page, { address, revision, content, reload, shown = () => {} }) {
  const kept = `boxwood-draft ${address}`;
  let timer = null;
  let saving = null;
  let dirty = false;

  function changed() {
    dirty = true;
    shown("changed");
    clearTimeout(timer);
    timer = setTimeout(flush, WAIT);
  }

  async function flush() {
    clearTimeout(timer);
    if (saving) await saving;
    if (!dirty) return;
    saving = send();
    await saving;
    saving = null;
  }

  async function send() {
    dirty = false;
    shown("saving");
    try {
      ({ revision } = await put(address, { revision, content: content() }));
      localStorage.removeItem(kept);
      shown(dirty ? "changed" : "saved");
    } catch (error) {
      dirty = true;
      if (error instanceof ApiError && error.status === 409) {
        shown("conflict");
        ask(error);
      } else {
        shown("failed");
        note(`Not saved: ${error.message}`, "error");
        timer = setTimeout(flush, 10 * WAIT);
      }
    }
  }

  function ask(error) {
    if (document.querySelector("dialog.conflict")) return;
    const dialog = h("dialog.conflict", { onclose: () => dialog.remove() },
      h("h2", {}, "Somebody else has saved"),
      h("p", {}, `${error.message}.`),
      h("p.buttons", {},
        h("button.main", { onclick: () => { dirty = false; localStorage.removeItem(kept); dialog.close(); reload(); } }, "Show theirs, drop mine"),
        h("button.danger", { onclick: () => { revision = error.body.revision; dialog.close(); flush(); } }, "Save mine over theirs")));
    document.body.append(dialog);
    dialog.showModal();
  }

  /** The page goes away: what has not been sent stays in the browser. */
  function keep() {
    if (dirty || saving) localStorage.setItem(kept, JSON.stringify({ revision, content: content() }));
  }

  addEventListener("pagehide", keep, { signal: page.signal });
  page.signal.addEventListener("abort", () => {
    document.querySelector("dialog.conflict")?.close();
    flush();
  });
  const draft = JSON.parse(localStorage.getItem(kept) ?? "null");
  localStorage.removeItem(kept);
  if (!draft || JSON.stringify(draft.content) === JSON.stringify(content())) return { changed, flush, draft: null };
  revision = draft.revision; // if somebody has saved since, saving the draft asks what to do
  return { changed, flush, draft: draft.content };
}
