/**
 * Sends one request to the first address that can answer it.
 *
 * The address that answered last is tried first; a standby only for a while, since its data may be old. If the connection is
 * lost, the request is sent to the same address once more: it may have been a kept connection that the server had closed. The
 * next address is tried if nothing could be sent, if the response is lost and the request is idempotent, or if the registry is
 * unavailable (502–504), as a standby is for writes. A request is idempotent if sending it twice has the effect of sending it
 * once: a refresh, a registration under an id, a deregistration, every read. A registration that must not replace another one
 * is not: the second attempt would take the first one for another process.
 *
 * `decide` contains these rules; tests/vectors/failover.json tests that the Rust, Python and TypeScript clients agree.
 */

import {
  ApiError,
  LeaseReplaced,
  NotARegistry,
  NotRegistered,
  PaulinaError,
  type Problem,
  Unreachable,
  type Violation,
} from "./errors.js";
import { Deadline } from "./time.js";
import { Failure, type FailureKind, type Reply, type Request, type RequestTarget, Transport, read } from "./transport.js";

/** How long a standby that answered in place of another address is tried first, in milliseconds. */
const STANDBY_PREFERENCE = 30_000;

/** The outcome of one attempt, as far as the next step depends on it. */
export type Outcome =
  | { kind: "response"; status: number; fromStandby: boolean }
  | { kind: FailureKind; status?: undefined; fromStandby?: undefined };

export type Decision = "return" | "retry_same" | "try_next" | "stop";

/** Decides what follows an attempt. A retry is the second attempt at the same address. */
export function decide(
  outcome: Outcome,
  { isRetry, notIdempotent }: { isRetry: boolean; notIdempotent: boolean },
): Decision {
  if (outcome.kind === "response") {
    const isUnavailable = outcome.status >= 502 && outcome.status <= 504;
    // A standby has done nothing. Another server may have: a proxy answers 504 for a request that it passed on.
    return isUnavailable && (outcome.fromStandby || !notIdempotent) ? "try_next" : "return";
  }
  if (outcome.kind === "unsent") return "try_next";
  if (notIdempotent) return "stop";
  return outcome.kind === "connection_lost" && !isRetry ? "retry_same" : "try_next";
}

/** Whether the server may have carried out the request although there is no response. */
export function mayHaveBeenProcessed({ kind }: Outcome): boolean {
  return kind === "connection_lost" || kind === "unknown";
}

/** Which address is tried first. */
export class AddressOrder {
  #primary = 0;
  /** The standby that answered in place of another address, and until when it is preferred. */
  #preferredStandby: { index: number; until: number } | undefined;

  /** The indexes of all addresses in the order in which they are tried. */
  ordered(count: number, now: number): number[] {
    const standby = this.#preferredStandby;
    const first = standby && now < standby.until ? standby.index : this.#primary;
    return Array.from({ length: count }, (_, offset) => (first + offset) % count);
  }

  /** Records which address answered. */
  recordResponse(
    index: number,
    now: number,
    { fromStandby, wasFirst }: { fromStandby: boolean; wasFirst: boolean },
  ): void {
    if (!fromStandby) {
      this.#primary = index;
      this.#preferredStandby = undefined;
    } else if (!wasFirst) {
      // A standby that was tried first gets no more time: a client that sends requests often would never try the primary again.
      this.#preferredStandby = { index, until: now + STANDBY_PREFERENCE };
    }
  }
}

/** An open event stream, its address, and the deadline for its next data. */
export interface OpenStream {
  body: ReadableStream<Uint8Array>;
  address: string;
  deadline: Deadline;
}

export class Failover {
  readonly #transports: readonly Transport[];
  readonly #order = new AddressOrder();

  constructor(
    addresses: readonly string[],
    readonly token: string | undefined,
  ) {
    if (addresses.length === 0)
      throw new PaulinaError("the address of the registry is missing: write one like http://127.0.0.1:7285");
    this.#transports = addresses.map((address) => new Transport(address, token));
  }

  get addresses(): string[] {
    return this.#transports.map(({ address }) => address);
  }

  /** Where a request would be sent, the address that is tried first in front. */
  targets(request: Request): RequestTarget[] {
    return this.#ordered().map(({ transport }) => transport.target(request));
  }

  /** Sends a request; the answer may have any status. */
  async send(request: Request, timeout: number, signal?: AbortSignal): Promise<Answer> {
    let unavailable: Answer | undefined;
    let repeated = false;
    let reason = "";
    let decision: Decision = "try_next";
    for (const { index, transport, isFirst } of this.#ordered()) {
      for (const isRetry of [false, true]) {
        const result = await attempt(transport, request, timeout, signal);
        const outcome = outcomeOf(result);
        decision = decide(outcome, { isRetry, notIdempotent: request.newOnly ?? false });
        if (result instanceof Failure) {
          reason = result.message;
          // The caller gave up: no further attempt can succeed.
          if (signal?.aborted) decision = "stop";
        } else {
          const answer = new Answer(result, transport.address, repeated);
          if (decision === "return") {
            this.#recordResponse(index, result.headers, isFirst);
            return answer;
          }
          unavailable = answer;
        }
        repeated ||= mayHaveBeenProcessed(outcome);
        if (decision !== "retry_same") break;
      }
      if (decision === "stop") break;
    }
    if (unavailable) return unavailable;
    throw new Unreachable(this.addresses, reason);
  }

  /** Opens an event stream. */
  async open(request: Request, timeout: number, signal?: AbortSignal): Promise<OpenStream> {
    let rejection: PaulinaError | undefined;
    let reason = "";
    for (const { index, transport, isFirst } of this.#ordered()) {
      const deadline = new Deadline(timeout, signal);
      try {
        const response = await transport.open(request, deadline);
        const isStream = isEventStream(response.headers.get("content-type") ?? "");
        if (response.status === 200 && response.body && isStream) {
          this.#recordResponse(index, response.headers, isFirst);
          return { body: response.body, address: transport.address, deadline };
        }
        const answer = new Answer(await read(response, deadline), transport.address, false);
        rejection = answer.ok
          ? new NotARegistry(transport.address, "the response is not an event stream")
          : answer.error("");
        deadline.end();
      } catch (error) {
        deadline.end();
        if (!(error instanceof Failure)) throw error;
        reason = error.message;
      }
    }
    throw rejection ?? new Unreachable(this.addresses, reason);
  }

  #recordResponse(index: number, headers: Headers, wasFirst: boolean): void {
    this.#order.recordResponse(index, performance.now(), { fromStandby: isStandby(headers), wasFirst });
  }

  /** All addresses in the order in which they are tried. */
  #ordered(): { index: number; transport: Transport; isFirst: boolean }[] {
    const order = this.#order.ordered(this.#transports.length, performance.now());
    return order.flatMap((index, number) => {
      const transport = this.#transports[index];
      return transport ? [{ index, transport, isFirst: number === 0 }] : [];
    });
  }
}

/** Whether a `content-type` is that of an event stream. A server that answers 200 to any request sends another one. */
export function isEventStream(contentType: string): boolean {
  const [mediaType = ""] = contentType.split(";");
  return mediaType.trim().toLowerCase() === "text/event-stream";
}

function isStandby(headers: Headers): boolean {
  return headers.get("paulina-role") === "standby";
}

function outcomeOf(result: Reply | Failure): Outcome {
  if (result instanceof Failure) return { kind: result.kind };
  return { kind: "response", status: result.status, fromStandby: isStandby(result.headers) };
}

async function attempt(
  transport: Transport,
  request: Request,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Reply | Failure> {
  try {
    return await transport.send(request, timeout, signal);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

/** A response, its address, and whether an earlier attempt may have been processed. */
export class Answer {
  constructor(
    readonly reply: Reply,
    readonly address: string,
    readonly repeated: boolean,
  ) {}

  /** Whether the request succeeded. */
  get ok(): boolean {
    return this.reply.status >= 200 && this.reply.status < 300;
  }

  /** The parsed body; throws the error that the response contains. */
  json<T>(id = ""): T {
    if (!this.ok) throw this.error(id);
    try {
      return JSON.parse(this.reply.text) as T;
    } catch {
      throw new NotARegistry(this.address, "the response is not JSON");
    }
  }

  /** The error that the response contains. */
  error(id: string): PaulinaError {
    const problem = problemIn(this.reply.text);
    if (!problem) return new NotARegistry(this.address, `status ${this.reply.status}`);
    if (problem.code === "not_registered") return new NotRegistered(id);
    if (problem.code === "lease_replaced") return new LeaseReplaced(id);
    return new ApiError(problem);
  }
}

function problemIn(text: string): Problem | undefined {
  try {
    const found = JSON.parse(text) as Partial<Problem> | null;
    const { code, detail, status, errors = [] } = found ?? {};
    const isStatus = typeof status === "number" && Number.isInteger(status) && status >= 0 && status <= 65_535;
    const isProblem = typeof code === "string" && typeof detail === "string" && isStatus;
    return isProblem && Array.isArray(errors) && errors.every(isViolation) ? (found as Problem) : undefined;
  } catch {
    return undefined;
  }
}

function isViolation(value: unknown): boolean {
  const { pointer, detail } = (value ?? {}) as Partial<Violation>;
  return typeof pointer === "string" && typeof detail === "string";
}
