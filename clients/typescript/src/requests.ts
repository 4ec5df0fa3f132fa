/** The requests that both the client and the heartbeat send. */

import { NotRegistered } from "./errors.js";
import type { Failover } from "./failover.js";
import type { Lease, LeaseState, Refreshed, Registered, Registration } from "./types.js";
import type { Request } from "./transport.js";

/** How long one address may take to answer, and a signal that cancels the request. */
export interface RequestOptions {
  timeout: number;
  signal?: AbortSignal | undefined;
}

/** A unique id for a server, which begins with its name. */
export function newId(name = ""): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-/, "")
    .slice(0, 100)
    .replace(/-$/, "");
  return `${slug || "server"}-${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
}

/** The path of a server. No server can have these ids, and in a URL they would name another path. */
export function serverPath(id: string, ...rest: string[]): string[] {
  if (["", ".", ".."].includes(id)) throw new NotRegistered(id);
  return ["v1", "servers", id, ...rest];
}

export async function register(
  failover: Failover,
  registration: Registration,
  newOnly: boolean,
  { timeout, signal }: RequestOptions,
): Promise<Registered> {
  // The client generates a missing id, so that a second attempt replaces the first one.
  const body = { ...registration, id: registration.id ?? newId(registration.name) };
  const answer = await failover.send({ method: "POST", path: ["v1", "servers"], body, newOnly }, timeout, signal);
  return { ...answer.json<Registered>(body.id), created: answer.reply.status === 201 };
}

export async function refresh(
  failover: Failover,
  { id, lease }: Lease,
  { timeout, signal }: RequestOptions,
): Promise<Refreshed> {
  const request: Request = { method: "PUT", path: serverPath(id, "refresh"), query: leaseQuery(lease) };
  const answer = await failover.send(request, timeout, signal);
  return answer.json(id);
}

/** What the registry returns for an id; undefined if it is not registered. */
export async function getOptional<T>(
  failover: Failover,
  id: string,
  rest: readonly string[],
  { timeout, signal }: RequestOptions,
): Promise<T | undefined> {
  try {
    const answer = await failover.send({ method: "GET", path: serverPath(id, ...rest) }, timeout, signal);
    return answer.json(id);
  } catch (error) {
    if (error instanceof NotRegistered) return undefined;
    throw error;
  }
}

export function health(failover: Failover, id: string, options: RequestOptions): Promise<LeaseState | undefined> {
  return getOptional(failover, id, ["health"], options);
}

export async function deregister(
  failover: Failover,
  lease: Lease,
  { timeout, signal }: RequestOptions,
): Promise<void> {
  const answer = await failover.send(deregistration(lease), timeout, signal);
  if (answer.ok) return;
  const error = answer.error(lease.id);
  // An earlier attempt may have deregistered it, with only its response lost.
  if (answer.repeated && error instanceof NotRegistered) return;
  throw error;
}

export function deregistration({ id, lease }: Lease): Request {
  return { method: "DELETE", path: serverPath(id), query: leaseQuery(lease) };
}

function leaseQuery(lease: string | undefined): [string, string][] {
  return lease === undefined ? [] : [["lease", lease]];
}
