// Asking the server, and telling it.

/** An answer that is an error: `message` is its sentence, `status` the HTTP status (409: somebody else saved). */
export class ApiError extends Error {
  constructor(message, status, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

async function ask(method, address, body, signal) {
  let answer;
  try {
    answer = await fetch(address, {
      method,
      signal,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is `boxwood ui` still running, and ssh -L?", 0);
  }
  const found = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new ApiError(`The server's answer broke off (status ${answer.status}).`, answer.ok ? 0 : answer.status);
  });
  if (!answer.ok) throw new ApiError(found.error, answer.status, found);
  return found;
}

/** The same function, run once at a time; calls that come meanwhile are one more run. So no answer overtakes a newer one. */
export function inTurn(work) {
  let last = Promise.resolve();
  let waiting = null;
  const begin = () => {
    waiting = null;
    const now = work();
    last = now.catch(() => {});
    return now;
  };
  return () => (waiting ??= last.then(begin));
}

export const get = (address, signal) => ask("GET", address, undefined, signal);
export const post = (address, body = {}, signal) => ask("POST", address, body, signal);
export const put = (address, body = {}, signal) => ask("PUT", address, body, signal);

/** "/image/tile" and { name: "a b.mrc", level: 2 } give "/image/tile?name=a+b.mrc&level=2". */
export function address(path, query) {
  return `${path}?${new URLSearchParams(query)}`;
}
