/** Watching a registry: the stream goes on by itself, with no gap and no repeat, whatever breaks in between. */

import { NotARegistry, PaulinaError, Unreachable } from "./errors.js";
import { Events, type ServerSentEvent } from "./events.js";
import type { Exchange } from "./failover.js";
import { type WatchFilters, query } from "./filter.js";
import { pause, shortened } from "./time.js";
import type { Change, Snapshot, WatchEvent } from "./types.js";
import type { Call } from "./transport.js";

export interface WatchOptions {
  /** Ends the watch: the iteration is over then, without an error. */
  signal?: AbortSignal | undefined;
  /** Goes on right after this revision, which was told before. */
  since?: string | undefined;
}

/** The registry says that it is there every 15 s. */
const SILENCE = 40_000;
/** The first pause before it is asked again; each further one is twice as long, up to the last. */
const FIRST_PAUSE = 100;
const LAST_PAUSE = 5_000;

export async function* watch(
  exchange: Exchange,
  filters: WatchFilters,
  limit: number,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { signal } = options;
  const call: Call = { method: "GET", path: ["v1", "watch"], query: query(filters), since: options.since };
  for (let failures = 0; !signal?.aborted; failures += 1) {
    try {
      for await (const event of stream(exchange, call, limit, signal)) {
        call.since = event.revision;
        failures = 0;
        yield event;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof PaulinaError && error.temporary)) throw error;
      // A proxy answers for a registry that is down; where nothing was ever told, the address is wrong.
      if (error instanceof NotARegistry && call.since === undefined) throw error;
    }
    const longest = Math.min(FIRST_PAUSE * 2 ** failures, LAST_PAUSE);
    // Whoever waits for the next change wants the process to be there.
    await pause(shortened(longest, 50), { ref: true, signal });
  }
}

/** One connection, until it breaks. */
async function* stream(
  exchange: Exchange,
  call: Call,
  limit: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { body, address, deadline } = await exchange.open(call, limit, signal);
  const broken = (reason: string) => new Unreachable([address], reason);
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const events = new Events();
  try {
    for (;;) {
      deadline.restart(SILENCE);
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw broken(deadline.reason ?? String(error));
      });
      if (done) throw broken("the stream ended");
      for (const event of events.feed(decoder.decode(value, { stream: true }))) yield watched(event, address);
    }
  } finally {
    deadline.end();
    // It may have broken already.
    await reader.cancel().catch(() => undefined);
  }
}

function watched({ kind, data }: ServerSentEvent, address: string): WatchEvent {
  try {
    const told = JSON.parse(data) as Snapshot | Change;
    return kind === "snapshot" ? ({ ...told, kind } as Snapshot) : (told as Change);
  } catch {
    throw new NotARegistry(address, `an event of its stream is not JSON (${kind})`);
  }
}
