/** Watches a registry, and reconnects without gaps or duplicates. */

import { NotARegistry, PaulinaError, Unreachable } from "./errors.js";
import { Events, type ServerSentEvent } from "./events.js";
import type { Failover } from "./failover.js";
import { type WatchFilters, query } from "./filter.js";
import { shortened, sleep } from "./time.js";
import type { Change, Snapshot, WatchEvent } from "./types.js";
import type { Request } from "./transport.js";

export interface WatchOptions {
  /** Ends the watch: the iteration ends without an error. */
  signal?: AbortSignal | undefined;
  /** Resumes after this revision, which an earlier watch received. */
  since?: string | undefined;
}

/** How long a stream may be silent, in milliseconds: the registry sends a comment every 15 s. */
const STREAM_TIMEOUT = 40_000;
/** The wait after the first failure, in milliseconds; it doubles with each further failure, up to the limit. */
const INITIAL_RECONNECT_WAIT = 100;
const RECONNECT_WAIT_LIMIT = 5_000;

/** How long to wait after so many earlier failures in a row, in milliseconds. */
export function reconnectWait(failures: number): number {
  return Math.min(INITIAL_RECONNECT_WAIT * 2 ** failures, RECONNECT_WAIT_LIMIT);
}

export async function* watch(
  failover: Failover,
  filters: WatchFilters,
  timeout: number,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { signal } = options;
  const request: Request = { method: "GET", path: ["v1", "watch"], query: query(filters), since: options.since };
  for (let failures = 0; !signal?.aborted; failures += 1) {
    try {
      for await (const event of stream(failover, request, timeout, signal)) {
        request.since = event.revision;
        failures = 0;
        yield event;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof PaulinaError && error.temporary)) throw error;
      // After the first event, a proxy may answer for a registry that is down; before it, the address is wrong.
      if (error instanceof NotARegistry && request.since === undefined) throw error;
    }
    // The process stays alive: a caller waits for the next event.
    await sleep(shortened(reconnectWait(failures), 50), { ref: true, signal });
  }
}

/** The events of one connection, until it is lost. */
async function* stream(
  failover: Failover,
  request: Request,
  timeout: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { body, address, deadline } = await failover.open(request, timeout, signal);
  const lost = (reason: string) => new Unreachable([address], reason);
  const reader = body.getReader();
  const events = new Events();
  try {
    for (;;) {
      deadline.restart(STREAM_TIMEOUT);
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw lost(deadline.reason ?? String(error));
      });
      if (done) throw lost("the stream ended");
      for (const event of events.feed(value)) yield watchEvent(event, address);
    }
  } finally {
    deadline.end();
    // The stream may have failed already.
    await reader.cancel().catch(() => undefined);
  }
}

function watchEvent({ kind, data }: ServerSentEvent, address: string): WatchEvent {
  try {
    const parsed = JSON.parse(data) as Snapshot | Change;
    return kind === "snapshot" ? ({ ...parsed, kind } as Snapshot) : (parsed as Change);
  } catch {
    throw new NotARegistry(address, `the event ${JSON.stringify(kind)} is not JSON`);
  }
}
