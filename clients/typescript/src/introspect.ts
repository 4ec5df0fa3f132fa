/**
 * Reads the name and the capabilities of a server of the official SDK from its request handlers, in the same process.
 *
 * The SDK is not imported: both versions (`@modelcontextprotocol/sdk`, `@modelcontextprotocol/server`) keep their handlers by
 * method in the same place, connected or not. That place is not public. A connection cannot be used instead: a server accepts
 * only one, and the responses to its client and to this package would have to be told apart.
 */

import type { Capabilities, Flag } from "./types.js";

/** A server of the official SDK: an `McpServer`, or a `Server`. */
export interface McpServerLike {
  connect(transport: never): Promise<unknown>;
  close(): Promise<unknown>;
}

type Handler = (request: { method: string; params: object }, context: object) => unknown;

/** The private members of a `Server` that are read. */
export interface ProtocolServer {
  _requestHandlers?: Map<string, Handler>;
  _serverInfo?: { name?: unknown; title?: unknown; version?: unknown; description?: unknown };
  _instructions?: unknown;
  getCapabilities?: () => object;
}

/** The metadata that a server sends at initialization. */
export interface ServerMetadata {
  name: string | undefined;
  title: string | undefined;
  version: string | undefined;
  description: string | undefined;
}

/** How long one page of a list may take, in milliseconds: the server may read it from a database. */
const LIST_TIMEOUT = 60_000;
/** How many tools, resources or prompts the registry accepts. */
const DEFINITION_LIMIT = 2_000;

/** The `Server` in an `McpServer`, or the server itself. */
export function protocolServer(server: McpServerLike): ProtocolServer {
  const { server: inner } = server as { server?: unknown };
  return (typeof inner === "object" && inner !== null ? inner : server) as ProtocolServer;
}

export function serverMetadata({ _serverInfo: own = {}, _instructions }: ProtocolServer): ServerMetadata {
  const name = text(own.name, 200)?.replace(/[^A-Za-z0-9._/@ -]/gu, "-");
  const description = text(own.description, 10_000) ?? text(_instructions, 10_000);
  return { name, title: text(own.title, 200), version: text(own.version, 100), description };
}

/** Reads the capabilities. A list that cannot be read is reported, and stays as it was in `previous`. */
export async function introspect(
  server: ProtocolServer,
  previous: Capabilities,
  report: (problem: string) => void,
): Promise<Capabilities> {
  const list = async <K extends "tools" | "resources" | "prompts">(
    kind: K,
    readAll: () => Promise<object[]>,
  ): Promise<Capabilities[K]> => {
    try {
      const items = await readAll();
      if (items.length > DEFINITION_LIMIT)
        report(`${items.length} ${kind} are too many: the first ${DEFINITION_LIMIT} are registered`);
      // The registry validates each of them.
      return items.slice(0, DEFINITION_LIMIT) as object as Capabilities[K];
    } catch (error) {
      report(`cannot read the ${kind}: ${error instanceof Error ? error.message : String(error)}`);
      return previous[kind];
    }
  };
  const handlers = server._requestHandlers;
  if (!(handlers instanceof Map)) {
    report("cannot read the capabilities: this version of the MCP SDK is not supported. Pass capabilities to announce");
    return previous;
  }
  const tools = await list("tools", () => all(handlers, "tools/list", "tools", "name"));
  const resources = await list("resources", async () => [
    ...(await all(handlers, "resources/list", "resources", "uri")),
    ...(await all(handlers, "resources/templates/list", "resourceTemplates", "uriTemplate")),
  ]);
  const prompts = await list("prompts", () => all(handlers, "prompts/list", "prompts", "name"));
  return { ...flags(server.getCapabilities?.() ?? {}), tools, resources, prompts };
}

/** The capabilities in addition to the lists. */
function flags(declared: object): Record<string, Flag> {
  const lists = ["tools", "resources", "prompts"];
  const isFlag = ([name, options]: [string, unknown]) =>
    !lists.includes(name) && (typeof options === "boolean" || (typeof options === "object" && options !== null));
  return Object.fromEntries(Object.entries(declared).filter(isFlag));
}

/** All pages of a list, each name once: the registry rejects duplicates. */
async function all(handlers: Map<string, Handler>, method: string, member: string, key: string): Promise<object[]> {
  const handler = handlers.get(method);
  if (!handler) return [];
  const found = new Map<string, object>();
  const seen = new Set<unknown>();
  let cursor: unknown;
  do {
    seen.add(cursor);
    const request = { method, params: cursor ? { cursor } : {} };
    const result = await withTimeout(LIST_TIMEOUT, method, (signal) => handler(request, handlerContext(method, signal)));
    const { [member]: items, nextCursor } = result as Record<string, unknown>;
    if (!Array.isArray(items)) throw new Error(`the result of ${method} contains no list of ${member}`);
    for (const item of items as Record<string, unknown>[]) {
      const name = item[key];
      if (typeof name === "string" && !found.has(name)) found.set(name, item);
    }
    cursor = nextCursor;
  } while (cursor && !seen.has(cursor) && found.size <= DEFINITION_LIMIT);
  return [...found.values()];
}

/** The context that a handler receives, in the form of both versions. There is no client to send requests to. */
function handlerContext(method: string, signal: AbortSignal): object {
  const noClient = () =>
    Promise.reject(new Error("there is no client: the registry's client reads the capabilities of the server"));
  const ignore = () => Promise.resolve();
  const mcpReq = {
    id: 0,
    method,
    signal,
    send: noClient,
    notify: ignore,
    log: ignore,
    elicitInput: noClient,
    requestSampling: noClient,
  };
  return { signal, requestId: 0, sendRequest: noClient, sendNotification: ignore, mcpReq };
}

async function withTimeout<T>(ms: number, what: string, start: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort();
      reject(new Error(`${what} did not return within ${ms / 1_000} s`));
    }, ms).unref();
  });
  try {
    return await Promise.race([timeout, Promise.resolve().then(() => start(controller.signal))]);
  } finally {
    clearTimeout(timer);
  }
}

/** A text that is not blank, shortened to what the registry accepts. */
function text(value: unknown, characters: number): string | undefined {
  if (typeof value !== "string" || value.trim() === "") return undefined;
  return [...value.trim()].slice(0, characters).join("");
}
