/** Notices when a server of the official SDK announces that one of its lists has changed. */

import { type McpServerLike, protocolServer } from "./introspect.js";

type Methods = Record<string, unknown>;

/** Calls `listener` at each change; returns a function that ends that. */
export function onListChanged(server: McpServerLike, listener: () => void): () => void {
  const outer = server as unknown as Methods;
  // An McpServer calls these whether a client is connected or not; a Server only sends notifications.
  const removers = ["sendToolListChanged", "sendResourceListChanged", "sendPromptListChanged"].map((name) =>
    callBefore(outer, name, listener),
  );
  const onNotification = (notification: unknown) => {
    const { method } = (notification ?? {}) as { method?: unknown };
    if (typeof method === "string" && method.endsWith("/list_changed")) listener();
  };
  removers.push(callBefore(protocolServer(server) as Methods, "notification", onNotification));
  return () => removers.forEach((remove) => remove());
}

/** Wraps a method so that `first` is called before it; returns a function that removes the wrapper. */
function callBefore(object: Methods, name: string, first: (argument: unknown) => void): () => void {
  const original = object[name];
  if (typeof original !== "function") return () => undefined;
  const isOwn = Object.hasOwn(object, name);
  const wrapper = function (this: unknown, ...args: unknown[]): unknown {
    first(args[0]);
    return original.apply(this, args) as unknown;
  };
  object[name] = wrapper;
  return () => {
    if (object[name] !== wrapper) return;
    if (isOwn) object[name] = original;
    else delete object[name];
  };
}
