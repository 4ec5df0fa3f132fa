/** Hearing a server of the official SDK say that a list of its has changed. */

import { type McpServerLike, inside } from "./describe.js";

type Methods = Record<string, unknown>;

/** Calls `heard` at each change, until the function that is given back is called. */
export function hear(server: McpServerLike, heard: () => void): () => void {
  const outer = server as unknown as Methods;
  // An McpServer calls these whether a client is connected or not; what is below it sends only notifications.
  const undone = ["sendToolListChanged", "sendResourceListChanged", "sendPromptListChanged"].map((name) =>
    before(outer, name, heard),
  );
  const notified = (notification: unknown) => {
    const { method } = (notification ?? {}) as { method?: unknown };
    if (typeof method === "string" && method.endsWith("/list_changed")) heard();
  };
  undone.push(before(inside(server) as Methods, "notification", notified));
  return () => undone.forEach((undo) => undo());
}

/** Has something done before each call of a method. */
function before(object: Methods, name: string, first: (argument: unknown) => void): () => void {
  const original = object[name];
  if (typeof original !== "function") return () => undefined;
  const isOwn = Object.hasOwn(object, name);
  const wrapper = function (this: unknown, ...words: unknown[]): unknown {
    first(words[0]);
    return original.apply(this, words) as unknown;
  };
  object[name] = wrapper;
  return () => {
    if (object[name] !== wrapper) return;
    if (isOwn) object[name] = original;
    else delete object[name];
  };
}
