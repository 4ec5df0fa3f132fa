// Asking the registry. Addresses are relative, so that the pages work behind a path prefix. The token is kept for this
// tab alone (sessionStorage) and goes nowhere but into the header `authorization`.

const KEY = "paulina.token";
const PATIENCE_MS = 15_000;

let token = "";
try {
  token = sessionStorage.getItem(KEY) ?? "";
} catch {
  // Storage is switched off: the token lives as long as the page.
}

export const currentToken = () => token;

export function setToken(text) {
  token = text.trim();
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}

/** The registry answered with a problem (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `the registry answered with status ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
  }

  /** Whether a token, or another one, would help. */
  get wantsToken() {
    return this.status === 401 || this.code === "forbidden";
  }
}

/** Nothing answered, or nobody who could: the registry is down, starting or stopping. */
export class Unreachable extends Error {}

export function headers(more = {}) {
  return token ? { authorization: `Bearer ${token}`, ...more } : more;
}

/** Sends a GET and returns the response, or throws `Problem` or `Unreachable`. */
export async function open(path, { signal, ...more } = {}) {
  let response;
  try {
    response = await fetch(path, { headers: headers(more), cache: "no-store", signal });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new Unreachable(error.message);
  }
  // What a standby says is as old as its copy of the primary's database: the style sheet says so.
  document.body.dataset.role = response.headers.get("paulina-role") ?? "primary";
  if (response.ok || response.status === 304) return response;
  const body = await response.json().catch(() => null);
  if ([502, 503, 504].includes(response.status)) throw new Unreachable(body?.detail ?? `status ${response.status}`);
  throw new Problem(response.status, body);
}

/** GETs text: `{status, text, etag, date}`. */
export async function get(path, { signal, ...more } = {}) {
  const timeout = AbortSignal.timeout(PATIENCE_MS);
  try {
    const response = await open(path, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout, ...more });
    const text = await response.text();
    return { status: response.status, text, etag: response.headers.get("etag"), date: response.headers.get("date") };
  } catch (error) {
    if (signal?.aborted || error instanceof Problem || error instanceof Unreachable) throw error;
    throw new Unreachable(error.message);
  }
}

/** GETs JSON. */
export async function getJson(path, options) {
  return JSON.parse((await get(path, options)).text);
}

/** A question that is asked again and again: null while the answer is the one that was given before. */
export class Question {
  #etag = null;

  constructor(path) {
    this.path = path;
  }

  async ask(signal) {
    const condition = this.#etag ? { "if-none-match": this.#etag } : {};
    const answer = await get(this.path, { signal, ...condition });
    if (answer.status === 304) return null;
    this.#etag = answer.etag;
    return answer.text;
  }
}
