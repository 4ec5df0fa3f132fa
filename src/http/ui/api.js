// Requests to the registry. URLs are relative, so that the pages work behind a path prefix. The token is stored only for this tab
// (sessionStorage), and sent only in the header `Authorization`.

const STORAGE_KEY = "paulina.token";
const TIMEOUT_MS = 15_000;

let token = "";
try {
  token = sessionStorage.getItem(STORAGE_KEY) ?? "";
} catch {
  // Storage is disabled: the token is lost when the page is closed.
}

export const currentToken = () => token;

export function setToken(text) {
  token = text.trim();
  try {
    if (token) sessionStorage.setItem(STORAGE_KEY, token);
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // As above.
  }
}

/** An error response of the registry (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `the registry responded with status ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
  }

  /** Whether the request needs a token, or a different one. */
  get needsToken() {
    return this.status === 401 || this.code === "forbidden";
  }
}

/** The registry is not reachable: it is down, starting or stopping. */
export class Unreachable extends Error {}

function withToken(headers) {
  return token ? { authorization: `Bearer ${token}`, ...headers } : headers;
}

/** Sends a GET with these headers and returns the response, or throws `Problem` or `Unreachable`. */
export async function open(path, { signal, ...headers } = {}) {
  let response;
  try {
    response = await fetch(path, { headers: withToken(headers), cache: "no-store", signal });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new Unreachable(error.message);
  }
  // The data of a standby can be stale; the style sheet shows a notice.
  document.body.dataset.role = response.headers.get("paulina-role") ?? "primary";
  if (response.ok || response.status === 304) return response;
  const body = await response.json().catch(() => null);
  if ([502, 503, 504].includes(response.status)) throw new Unreachable(body?.detail ?? `status ${response.status}`);
  throw new Problem(response.status, body);
}

/** Sends a GET and returns `{status, text, etag, date}`. */
export async function get(path, { signal, ...headers } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await open(path, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout, ...headers });
    const text = await response.text();
    return { status: response.status, text, etag: response.headers.get("etag"), date: response.headers.get("date") };
  } catch (error) {
    if (signal?.aborted || error instanceof Problem || error instanceof Unreachable) throw error;
    throw new Unreachable(error.message);
  }
}

/** Sends a GET and returns the parsed JSON. */
export async function getJson(path, options) {
  return JSON.parse((await get(path, options)).text);
}

/** A GET that is repeated: `send` returns null if the response has not changed. */
export class ConditionalRequest {
  #etag = null;

  constructor(path) {
    this.path = path;
  }

  async send(signal) {
    const headers = this.#etag ? { "if-none-match": this.#etag } : {};
    const response = await get(this.path, { signal, ...headers });
    if (response.status === 304) return null;
    this.#etag = response.etag;
    return response.text;
  }
}
