/** The calls that a heartbeat needs as well. */

import { NotRegistered } from "./errors.js";
import type { Exchange } from "./failover.js";
import type { Lease, LeaseState, Refreshed, Registered, Registration } from "./types.js";
import type { Call } from "./transport.js";

/** How long each may take, and who may give it up. */
export interface Patience {
  limit: number;
  signal?: AbortSignal | undefined;
}

/** An id for a server that has none: its name, and what nobody else has. */
export function newId(name = ""): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-/, "")
    .slice(0, 100)
    .replace(/-$/, "");
  return `${slug || "server"}-${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
}

/** Where a server is found. No registry has these ids, and a URL means something else by them. */
export function at(id: string, ...rest: string[]): string[] {
  if (["", ".", ".."].includes(id)) throw new NotRegistered(id);
  return ["v1", "servers", id, ...rest];
}

export async function register(
  exchange: Exchange,
  registration: Registration,
  onlyNew: boolean,
  { limit, signal }: Patience,
): Promise<Registered> {
  // With an id of its own a second try replaces the first instead of standing beside it.
  const body = { ...registration, id: registration.id ?? newId(registration.name) };
  const answer = await exchange.ask({ method: "POST", path: ["v1", "servers"], body, onlyNew }, limit, signal);
  return { ...answer.json<Registered>(body.id), created: answer.reply.status === 201 };
}

export async function refresh(
  exchange: Exchange,
  { id, lease }: Lease,
  { limit, signal }: Patience,
): Promise<Refreshed> {
  const answer = await exchange.ask({ method: "PUT", path: at(id, "refresh"), query: naming(lease) }, limit, signal);
  return answer.json(id);
}

/** What the registry says of an id; undefined if it is not registered. */
export async function look<T>(
  exchange: Exchange,
  id: string,
  what: readonly string[],
  { limit, signal }: Patience,
): Promise<T | undefined> {
  try {
    const answer = await exchange.ask({ method: "GET", path: at(id, ...what) }, limit, signal);
    return answer.json(id);
  } catch (error) {
    if (error instanceof NotRegistered) return undefined;
    throw error;
  }
}

export function health(exchange: Exchange, id: string, patience: Patience): Promise<LeaseState | undefined> {
  return look(exchange, id, ["health"], patience);
}

export async function deregister(exchange: Exchange, lease: Lease, { limit, signal }: Patience): Promise<void> {
  const answer = await exchange.ask(deregistration(lease), limit, signal);
  if (answer.ok) return;
  const refusal = answer.refusal(lease.id);
  // The first time has done it, and only its answer was lost.
  if (answer.repeated && refusal instanceof NotRegistered) return;
  throw refusal;
}

export function deregistration({ id, lease }: Lease): Call {
  return { method: "DELETE", path: at(id), query: naming(lease) };
}

function naming(lease: string | undefined): [string, string][] {
  return lease === undefined ? [] : [["lease", lease]];
}
