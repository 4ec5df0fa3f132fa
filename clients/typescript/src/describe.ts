/**
 * What a server of the official SDK is and can do, asked of the handlers that it has registered, in the same process.
 *
 * Nothing is imported of the SDK: both generations (`@modelcontextprotocol/sdk`, `@modelcontextprotocol/server`) keep their
 * handlers by method in the same place, connected or not. That place is not public, and a connection cannot be used: it
 * would be the only one that the server takes, and a client's answers would have to be told from ours.
 */

import type { Capabilities, Flag } from "./types.js";

/** A server of the official SDK: an `McpServer`, or a `Server`. */
export interface McpServerLike {
  connect(transport: never): Promise<unknown>;
  close(): Promise<unknown>;
}

type Handler = (request: { method: string; params: object }, context: object) => unknown;

/** What is inside of it. */
export interface Inside {
  _requestHandlers?: Map<string, Handler>;
  _serverInfo?: { name?: unknown; title?: unknown; version?: unknown; description?: unknown };
  _instructions?: unknown;
  getCapabilities?: () => object;
}

/** What a server says of itself as a whole. */
export interface Introduction {
  name: string | undefined;
  title: string | undefined;
  version: string | undefined;
  description: string | undefined;
}

/** How long a list may take: there may be a database behind it. */
const PATIENCE = 60_000;
/** How many of each the registry takes. */
const MOST = 2_000;

/** The protocol's side of a server; an `McpServer` has it in `server`. */
export function inside(server: McpServerLike): Inside {
  const { server: inner } = server as { server?: unknown };
  return (typeof inner === "object" && inner !== null ? inner : server) as Inside;
}

export function introduced({ _serverInfo: own = {}, _instructions }: Inside): Introduction {
  const name = text(own.name, 200)?.replace(/[^A-Za-z0-9._/@ -]/gu, "-");
  const description = text(own.description, 10_000) ?? text(_instructions, 10_000);
  return { name, title: text(own.title, 200), version: text(own.version, 100), description };
}

/** Reads what it can do. What cannot be read is told, and stays as it was. */
export async function capabilities(
  server: Inside,
  before: Capabilities,
  tell: (problem: string) => void,
): Promise<Capabilities> {
  const list = async <K extends "tools" | "resources" | "prompts">(
    kind: K,
    ask: () => Promise<object[]>,
  ): Promise<Capabilities[K]> => {
    try {
      const items = await ask();
      if (items.length > MOST) tell(`${items.length} ${kind} are too many: the first ${MOST} are registered`);
      // What in them is not as MCP has it the registry says.
      return items.slice(0, MOST) as object as Capabilities[K];
    } catch (error) {
      tell(`cannot read its ${kind}: ${error instanceof Error ? error.message : String(error)}`);
      return before[kind];
    }
  };
  const handlers = server._requestHandlers;
  if (!(handlers instanceof Map)) {
    tell("cannot read what it can do: this version of the MCP SDK is not known. Give announce its capabilities");
    return before;
  }
  const tools = await list("tools", () => all(handlers, "tools/list", "tools", "name"));
  const resources = await list("resources", async () => [
    ...(await all(handlers, "resources/list", "resources", "uri")),
    ...(await all(handlers, "resources/templates/list", "resourceTemplates", "uriTemplate")),
  ]);
  const prompts = await list("prompts", () => all(handlers, "prompts/list", "prompts", "name"));
  return { ...flags(server.getCapabilities?.() ?? {}), tools, resources, prompts };
}

/** What it supports beside lists. */
function flags(declared: object): Record<string, Flag> {
  const lists = ["tools", "resources", "prompts"];
  const isFlag = ([name, options]: [string, unknown]) =>
    !lists.includes(name) && (typeof options === "boolean" || (typeof options === "object" && options !== null));
  return Object.fromEntries(Object.entries(declared).filter(isFlag));
}

/** All pages of a list, each name once: the registry takes no two under one. */
async function all(handlers: Map<string, Handler>, method: string, member: string, key: string): Promise<object[]> {
  const handler = handlers.get(method);
  if (!handler) return [];
  const found = new Map<string, object>();
  const seen = new Set<unknown>();
  let cursor: unknown;
  do {
    seen.add(cursor);
    const request = { method, params: cursor ? { cursor } : {} };
    const answer = await within(PATIENCE, method, (signal) => handler(request, context(method, signal)));
    const { [member]: items, nextCursor } = answer as Record<string, unknown>;
    if (!Array.isArray(items)) throw new Error(`its answer to ${method} has no list of ${member}`);
    for (const item of items as Record<string, unknown>[]) {
      const name = item[key];
      if (typeof name === "string" && !found.has(name)) found.set(name, item);
    }
    cursor = nextCursor;
  } while (cursor && !seen.has(cursor) && found.size <= MOST);
  return [...found.values()];
}

/** What a handler is given of its request, in the words of either generation. There is no client to ask anything of. */
function context(method: string, signal: AbortSignal): object {
  const nobody = () =>
    Promise.reject(new Error("there is no client: the registry's client reads what the server can do"));
  const quiet = () => Promise.resolve();
  const mcpReq = {
    id: 0,
    method,
    signal,
    send: nobody,
    notify: quiet,
    log: quiet,
    elicitInput: nobody,
    requestSampling: nobody,
  };
  return { signal, requestId: 0, sendRequest: nobody, sendNotification: quiet, mcpReq };
}

async function within<T>(ms: number, what: string, ask: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort();
      reject(new Error(`${what} was not answered within ${ms / 1_000} s`));
    }, ms).unref();
  });
  try {
    return await Promise.race([late, Promise.resolve().then(() => ask(controller.signal))]);
  } finally {
    clearTimeout(timer);
  }
}

/** A text that says something, no longer than the registry takes. */
function text(value: unknown, characters: number): string | undefined {
  if (typeof value !== "string" || value.trim() === "") return undefined;
  return [...value.trim()].slice(0, characters).join("");
}
