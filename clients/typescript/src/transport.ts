/** HTTP to one address of a registry. */

import { PaulinaError } from "./errors.js";
import type { Query } from "./filter.js";
import { fetchOverSocket } from "./unix-socket.js";
import { Deadline } from "./time.js";

/** A request, independent of the address. */
export interface Request {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** The segments of the path, under the address. */
  path: readonly string[];
  query?: Query;
  /** Sent as JSON. */
  body?: object;
  /** Register only if the id is not taken. */
  newOnly?: boolean;
  /** The last event that was received. */
  since?: string | undefined;
}

/** A response that was read to its end. */
export interface Reply {
  status: number;
  headers: Headers;
  text: string;
}

/**
 * How far a request got that has no response. `unsent`: nothing was sent. `connection_lost`: the connection was lost, maybe a
 * kept one that the server had closed; the request may have been processed. `unknown`: it may have been processed.
 */
export type FailureKind = "unsent" | "connection_lost" | "unknown";

/** The reason why there is no response. */
export class Failure extends Error {
  constructor(
    readonly kind: FailureKind,
    reason: string,
  ) {
    super(reason);
  }
}

/** Where a request is sent. */
export interface RequestTarget {
  url: string;
  socketPath?: string | undefined;
}

type Fetch = (url: URL, init: RequestInit & { headers: Record<string, string> }) => Promise<Response>;

export class Transport {
  readonly #base: URL;
  readonly #socketPath: string | undefined;
  readonly #fetch: Fetch;
  readonly #token: string | undefined;

  constructor(
    /** The address as the caller wrote it. */
    readonly address: string,
    token: string | undefined,
  ) {
    const invalid = (detail: string) =>
      new PaulinaError(
        `"${address}" is not a valid registry address: ${detail}. Write it like http://127.0.0.1:7285 or unix:/run/paulina.sock`,
      );
    if (token !== undefined && !/^[!-~]+$/.test(token))
      throw new PaulinaError('invalid token: a token is one word, as printed by "paulina token create"');
    this.#token = token;
    if (address.startsWith("unix:")) {
      this.#base = new URL("http://localhost");
      this.#socketPath = address.slice("unix:".length);
      this.#fetch = fetchOverSocket(this.#socketPath);
      return;
    }
    if (!URL.canParse(address)) throw invalid("it cannot be parsed");
    this.#base = new URL(address);
    if (!/^https?:$/.test(this.#base.protocol)) throw invalid("it is neither http nor https");
    if (this.#base.username || this.#base.password)
      throw new PaulinaError("the address of a registry must not contain a user or a password: pass a token instead");
    // Looked up for each request: programs replace the global fetch.
    this.#fetch = (url, init) => fetch(url, init);
  }

  /** Sends a request and reads the response to its end. */
  async send(request: Request, timeout: number, signal?: AbortSignal): Promise<Reply> {
    const deadline = new Deadline(timeout, signal);
    try {
      return await read(await this.open(request, deadline), deadline);
    } finally {
      deadline.end();
    }
  }

  /** Sends a request; the caller reads the response before the deadline. */
  async open(request: Request, deadline: Deadline): Promise<Response> {
    const init = { ...this.#init(request), signal: deadline.signal, redirect: "manual" as const };
    try {
      return await this.#fetch(this.#url(request), init);
    } catch (error) {
      throw deadline.reason ? new Failure("unknown", deadline.reason) : requestFailure(error);
    }
  }

  target(request: Request): RequestTarget {
    return { url: this.#url(request).href, socketPath: this.#socketPath };
  }

  #url({ path, query = [] }: Request): URL {
    const url = new URL(this.#base);
    url.pathname = [url.pathname.replace(/\/$/, ""), ...path.map(encodeURIComponent)].join("/");
    for (const [key, value] of query) url.searchParams.append(key, value);
    return url;
  }

  #init({ method, body, newOnly, since }: Request) {
    const headers: Record<string, string> = {};
    if (this.#token) headers["authorization"] = `Bearer ${this.#token}`;
    if (body) headers["content-type"] = "application/json";
    if (newOnly) headers["if-none-match"] = "*";
    if (since) headers["last-event-id"] = since;
    return { method, headers, ...(body && { body: JSON.stringify(body) }) };
  }
}

/** Reads a response to its end. */
export async function read(response: Response, deadline: Deadline): Promise<Reply> {
  try {
    return { status: response.status, headers: response.headers, text: await response.text() };
  } catch (error) {
    throw new Failure("unknown", deadline.reason ?? `the response is incomplete: ${rootCause(error).message}`);
  }
}

/** The innermost error, which is the most specific one. */
function rootCause(error: unknown): { message: string; code?: unknown; syscall?: unknown } {
  if (!(error instanceof Error)) return { message: String(error) };
  if (error instanceof AggregateError && error.errors.length > 0) return rootCause(error.errors[0]);
  return error.cause instanceof Error ? rootCause(error.cause) : error;
}

/** Error codes that occur only before there is a connection: while connecting, or during the TLS handshake. */
const CONNECT_ERROR_CODES =
  /^(UND_ERR_CONNECT_TIMEOUT|EPROTO|ERR_SSL_.*|ERR_TLS_.*|CERT_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|UNABLE_TO_.*)$/;

function requestFailure(error: unknown): Failure {
  const { message, code, syscall } = rootCause(error);
  const isUnsent = syscall === "connect" || syscall === "getaddrinfo" || CONNECT_ERROR_CODES.test(String(code));
  return new Failure(isUnsent ? "unsent" : "connection_lost", message.trim());
}
