// Saving by itself: soon after every change, one request at a time, and never over what somebody else has saved.

import { ApiError, put } from "./api.js";
import { h, note } from "./dom.js";

const WAIT = 300;

const sending = new Set();

/** When what views that were left had to save is saved, or has failed. */
export const settled = () => Promise.all(sending);

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
  const kept = `boxwood-draft ${document.documentElement.dataset.project} ${address}`;
  let timer = null;
  let queue = Promise.resolve();
  let dirty = false;
  let failing = false;

  function changed() {
    dirty = true;
    shown("changed");
    clearTimeout(timer);
    timer = setTimeout(flush, WAIT);
  }

  function flush() {
    clearTimeout(timer);
    queue = queue.then(() => (dirty ? send() : undefined));
    const last = queue.finally(() => sending.delete(last));
    sending.add(last);
    return queue;
  }

  async function send() {
    dirty = false;
    shown("saving");
    try {
      ({ revision } = await put(address, { revision, content: content() }));
      localStorage.removeItem(kept);
      failing = false;
      shown(dirty ? "changed" : "saved");
    } catch (error) {
      dirty = true;
      if (error instanceof ApiError && error.status === 409) {
        shown("conflict");
        if (!page.signal.aborted) ask(error);
      } else {
        shown("failed");
        if (!failing) note(`Not saved yet: ${error.message}`, "error");
        failing = true;
        if (!page.signal.aborted) timer = setTimeout(flush, 10 * WAIT);
      }
    }
  }

  function ask(error) {
    if (document.querySelector("dialog.conflict")) return;
    const drop = () => {
      dirty = false;
      localStorage.removeItem(kept);
      dialog.close();
      reload();
    };
    const over = () => {
      revision = error.body.revision;
      dialog.close();
      flush();
    };
    const dialog = h("dialog.conflict", { onclose: () => dialog.remove() },
      // Enter and space are keys of views, too: neither button may be the one that they press by chance.
      h("h2", { tabindex: -1, autofocus: true }, "Somebody else has saved"),
      h("p", {}, `${error.message}.`),
      h("p.buttons", {}, h("button.main", { onclick: drop }, "Show theirs, drop mine"), h("button.danger", { onclick: over }, "Save mine over theirs")));
    document.body.append(dialog);
    dialog.showModal();
  }

  /** What has not been sent stays in the browser. */
  function keep() {
    if (dirty || sending.size) localStorage.setItem(kept, JSON.stringify({ revision, content: content() }));
  }

  addEventListener("pagehide", keep, { signal: page.signal });
  page.signal.addEventListener("abort", () => {
    document.querySelector("dialog.conflict")?.close();
    flush().then(() => dirty && keep());
  });
  const draft = JSON.parse(localStorage.getItem(kept) ?? "null");
  if (!draft || JSON.stringify(draft.content) === JSON.stringify(content())) {
    localStorage.removeItem(kept);
    return { changed, flush, draft: null };
  }
  revision = draft.revision; // if somebody has saved since, saving the draft asks what to do
  return { changed, flush, draft: draft.content };
}
