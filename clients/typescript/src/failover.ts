/**
 * One question to whichever of the addresses answers.
 *
 * The address that answered last is asked first, and once more if the connection breaks off: it may be one that was kept and
 * that the other side had given up. A standby stays the first for half a minute only: what it tells is as old as its copy, and
 * the primary may be back. Another address is asked when nothing could be sent, when the answer is lost and asking twice does
 * no harm, or when the registry there cannot do it now (502–504): it is a standby, say, which has done nothing. Asking twice
 * does no harm when the second time finds the first one done: a refresh, a registration under an id, a deregistration, every
 * read. Only "if the id is not taken" would take the first time for somebody else.
 */

import {
  LeaseReplaced,
  NotARegistry,
  NotRegistered,
  PaulinaError,
  type Problem,
  Refused,
  Unreachable,
} from "./errors.js";
import { Deadline } from "./time.js";
import { type Call, Failure, type Place, type Reply, Wire, read } from "./transport.js";

/** How long a standby is asked first, in milliseconds. */
const STANDING_IN = 30_000;

/** A stream that was opened, from whom it comes, and until when it is waited for. */
export interface Opened {
  body: ReadableStream<Uint8Array>;
  address: string;
  deadline: Deadline;
}

export class Exchange {
  readonly #wires: readonly Wire[];
  /** Which of them answered last and did not say that it is a standby. */
  #primary = 0;
  /** The standby that is asked first, and until when. */
  #standby: { index: number; until: number } | undefined;

  constructor(
    addresses: readonly string[],
    readonly token: string | undefined,
  ) {
    if (addresses.length === 0)
      throw new PaulinaError("there is no address of a registry: write one like http://127.0.0.1:7285");
    this.#wires = addresses.map((address) => new Wire(address, token));
  }

  get addresses(): string[] {
    return this.#wires.map(({ address }) => address);
  }

  /** Where a call would go, from the address to be asked first. */
  places(call: Call): Place[] {
    return this.#inTurn().map(({ wire }) => wire.place(call));
  }

  /** Asks; the answer has any status. */
  async ask(call: Call, limit: number, signal?: AbortSignal): Promise<Answer> {
    let busy: Answer | undefined;
    let repeated = false;
    let reason = "";
    for (const { index, wire, isFirst } of this.#inTurn()) {
      let sent = await attempt(wire, call, limit, signal);
      if (sent instanceof Failure && sent.fate === "broken" && !call.onlyNew) {
        repeated = true;
        sent = await attempt(wire, call, limit, signal);
      }
      if (sent instanceof Failure) {
        reason = sent.message;
        if (sent.fate === "unsent") continue;
        if (call.onlyNew || signal?.aborted) break;
        repeated = true;
        continue;
      }
      const answer = new Answer(sent, wire.address, repeated);
      if (!answer.elsewhere || (call.onlyNew && !answer.undone)) {
        this.#answered(index, sent.headers, isFirst);
        return answer;
      }
      busy = answer;
    }
    if (busy) return busy;
    throw new Unreachable(this.addresses, reason);
  }

  /** Asks for a stream, which goes on until its deadline. */
  async open(call: Call, limit: number, signal?: AbortSignal): Promise<Opened> {
    let refused: PaulinaError | undefined;
    let reason = "";
    for (const { index, wire, isFirst } of this.#inTurn()) {
      const deadline = new Deadline(limit, signal);
      try {
        const response = await wire.open(call, deadline);
        const isStream = /^text\/event-stream\b/.test(response.headers.get("content-type") ?? "");
        if (response.status === 200 && response.body && isStream) {
          this.#answered(index, response.headers, isFirst);
          return { body: response.body, address: wire.address, deadline };
        }
        const answer = new Answer(await read(response, deadline), wire.address, false);
        refused = answer.ok ? new NotARegistry(wire.address, "its answer is no stream of events") : answer.refusal("");
        deadline.end();
      } catch (error) {
        deadline.end();
        if (!(error instanceof Failure)) throw error;
        reason = error.message;
      }
    }
    throw refused ?? new Unreachable(this.addresses, reason);
  }

  #answered(index: number, headers: Headers, isFirst: boolean): void {
    if (!isStandby(headers)) {
      this.#primary = index;
      this.#standby = undefined;
    } else if (!isFirst) {
      // What it is asked as the first makes that no longer: whoever reads often would stay with it for ever.
      this.#standby = { index, until: performance.now() + STANDING_IN };
    }
  }

  /** All addresses, from the one to be asked first. */
  #inTurn(): { index: number; wire: Wire; isFirst: boolean }[] {
    const standby = this.#standby;
    const first = standby && performance.now() < standby.until ? standby.index : this.#primary;
    const all = this.#wires.map((wire, index) => ({ index, wire, isFirst: index === first }));
    return [...all.slice(first), ...all.slice(0, first)];
  }
}

function isStandby(headers: Headers): boolean {
  return headers.get("paulina-role") === "standby";
}

async function attempt(
  wire: Wire,
  call: Call,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<Reply | Failure> {
  try {
    return await wire.send(call, limit, signal);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

/** An answer, from whom, and whether an earlier try may have been carried out already. */
export class Answer {
  constructor(
    readonly reply: Reply,
    readonly address: string,
    readonly repeated: boolean,
  ) {}

  get ok(): boolean {
    return this.reply.status >= 200 && this.reply.status < 300;
  }

  /** Whether another registry might do what this one cannot do now. */
  get elsewhere(): boolean {
    return this.reply.status >= 502 && this.reply.status <= 504;
  }

  /** Whether it is certain that this one has done nothing. */
  get undone(): boolean {
    return isStandby(this.reply.headers);
  }

  /** What it says, if it says yes. */
  json<T>(id = ""): T {
    if (!this.ok) throw this.refusal(id);
    try {
      return JSON.parse(this.reply.text) as T;
    } catch {
      throw new NotARegistry(this.address, "its answer is not JSON");
    }
  }

  /** Why it says no. */
  refusal(id: string): PaulinaError {
    const problem = problemIn(this.reply.text);
    if (!problem) return new NotARegistry(this.address, `status ${this.reply.status}`);
    if (problem.code === "not_registered") return new NotRegistered(id);
    if (problem.code === "lease_replaced") return new LeaseReplaced(id);
    return new Refused(problem);
  }
}

function problemIn(text: string): Problem | undefined {
  try {
    const found = JSON.parse(text) as Partial<Problem> | null;
    const whole =
      typeof found?.code === "string" && typeof found.detail === "string" && typeof found.status === "number";
    return whole ? (found as Problem) : undefined;
  } catch {
    return undefined;
  }
}
