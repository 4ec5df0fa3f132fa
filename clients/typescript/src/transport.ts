/** One address of a registry. */

import { PaulinaError } from "./errors.js";
import type { Query } from "./filter.js";
import { overSocket } from "./unix-socket.js";
import { Deadline } from "./time.js";

/** What is asked. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Under the address. */
  path: readonly string[];
  query?: Query;
  /** To be sent as JSON. */
  body?: object;
  /** Only if the id is not taken. */
  onlyNew?: boolean;
  /** The last event that was seen. */
  since?: string | undefined;
}

/** What is answered. */
export interface Reply {
  status: number;
  headers: Headers;
  text: string;
}

/** What was asked was not sent at all; or the connection broke off before an answer came; or nothing more is known. */
export type Fate = "unsent" | "broken" | "unknown";

/** Why there is no answer, and what may have become of the question. */
export class Failure extends Error {
  constructor(
    readonly fate: Fate,
    reason: string,
  ) {
    super(reason);
  }
}

/** Where a call goes. */
export interface Place {
  url: string;
  socketPath?: string | undefined;
}

type Ask = (url: URL, init: RequestInit & { headers: Record<string, string> }) => Promise<Response>;

export class Wire {
  readonly #base: URL;
  readonly #socketPath: string | undefined;
  readonly #ask: Ask;
  readonly #token: string | undefined;

  constructor(
    /** As it was given. */
    readonly address: string,
    token: string | undefined,
  ) {
    const wrong = (detail: string) =>
      new PaulinaError(
        `"${address}" is no address of a registry: ${detail}. Write it like http://127.0.0.1:7285 or unix:/run/paulina.sock`,
      );
    if (token !== undefined && !/^[!-~]+$/.test(token))
      throw new PaulinaError("what is given as a token is none: it has no spaces in it");
    this.#token = token;
    if (address.startsWith("unix:")) {
      this.#base = new URL("http://localhost");
      this.#socketPath = address.slice("unix:".length);
      this.#ask = overSocket(this.#socketPath);
      return;
    }
    if (!URL.canParse(address)) throw wrong("it is no URL");
    this.#base = new URL(address);
    if (!/^https?:$/.test(this.#base.protocol)) throw wrong("it is neither http nor https");
    if (this.#base.username || this.#base.password)
      throw new PaulinaError("the address of a registry has no user and no password in it: give the token beside it");
    // Looked up each time: programs put their own in its place.
    this.#ask = (url, init) => fetch(url, init);
  }

  /** Asks, and reads the whole answer. */
  async send(call: Call, limit: number, signal?: AbortSignal): Promise<Reply> {
    const deadline = new Deadline(limit, signal);
    try {
      return await read(await this.open(call, deadline), deadline);
    } finally {
      deadline.end();
    }
  }

  /** Asks, and leaves the answer to be read until the deadline. */
  async open(call: Call, deadline: Deadline): Promise<Response> {
    const request = { ...this.#request(call), signal: deadline.signal, redirect: "manual" as const };
    try {
      return await this.#ask(this.#url(call), request);
    } catch (error) {
      throw deadline.reason ? new Failure("unknown", deadline.reason) : failure(error);
    }
  }

  place(call: Call): Place {
    return { url: this.#url(call).href, socketPath: this.#socketPath };
  }

  #url({ path, query = [] }: Call): URL {
    const url = new URL(this.#base);
    url.pathname = [url.pathname.replace(/\/$/, ""), ...path.map(encodeURIComponent)].join("/");
    for (const [key, value] of query) url.searchParams.append(key, value);
    return url;
  }

  #request({ method, body, onlyNew, since }: Call) {
    const headers: Record<string, string> = {};
    if (this.#token) headers["authorization"] = `Bearer ${this.#token}`;
    if (body) headers["content-type"] = "application/json";
    if (onlyNew) headers["if-none-match"] = "*";
    if (since) headers["last-event-id"] = since;
    return { method, headers, ...(body && { body: JSON.stringify(body) }) };
  }
}

/** Reads the whole of an answer. */
export async function read(response: Response, deadline: Deadline): Promise<Reply> {
  try {
    return { status: response.status, headers: response.headers, text: await response.text() };
  } catch (error) {
    throw new Failure("unknown", deadline.reason ?? `the answer broke off: ${innermost(error).message}`);
  }
}

/** The error at the root, which says most. */
function innermost(error: unknown): { message: string; code?: unknown; syscall?: unknown } {
  if (!(error instanceof Error)) return { message: String(error) };
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  return error.cause instanceof Error ? innermost(error.cause) : error;
}

/** What shows that there was no connection yet: it was being made, or its encryption agreed on. */
const CONNECTING =
  /^(UND_ERR_CONNECT_TIMEOUT|EPROTO|ERR_SSL_.*|ERR_TLS_.*|CERT_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|UNABLE_TO_.*)$/;

function failure(error: unknown): Failure {
  const { message, code, syscall } = innermost(error);
  const unsent = syscall === "connect" || syscall === "getaddrinfo" || CONNECTING.test(String(code));
  return new Failure(unsent ? "unsent" : "broken", message.trim());
}
