/**
 * Deregisters servers when the process ends, without changing how it ends.
 *
 * A process that ends by itself, or by a signal that no other listener handles, waits until its servers are deregistered. A
 * program that handles the signal decides when it ends. At `process.exit` there is no time left for a request: a small process
 * sends it right afterwards.
 */

import { spawn } from "node:child_process";
import { basename } from "node:path";
import type { RequestTarget } from "./transport.js";

/** An object that has to deregister a server when the process ends. */
export interface ShutdownParticipant {
  stop(): Promise<void>;
  /** Where a deregistration would be sent, the address that is tried first in front. */
  shutdownRequests(): RequestTarget[];
  token: string | undefined;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
/** Marks our listeners, also for another copy of this package. */
const LISTENER_MARK = Symbol.for("paulina-client: exit listener");
const participants = new Set<ShutdownParticipant>();
let ending = false;

/** Stops the participant when the process ends; returns a function that removes it. */
export function onProcessExit(participant: ShutdownParticipant): () => void {
  if (participants.size === 0) addListeners();
  participants.add(participant);
  return () => {
    if (participants.delete(participant) && participants.size === 0) removeListeners();
  };
}

function addListeners(): void {
  ending = false;
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  process.on("newListener", onNewListener);
  process.on("beforeExit", onBeforeExit);
  process.on("exit", onExit);
}

function removeListeners(): void {
  for (const signal of SIGNALS) process.off(signal, onSignal);
  process.off("newListener", onNewListener);
  process.off("beforeExit", onBeforeExit);
  process.off("exit", onExit);
}

const onSignal = Object.assign(
  (signal: NodeJS.Signals) => {
    // Another listener decides what the signal means. Ours is called first, so one that was added with `once` is still counted.
    if (otherListeners(signal) > 0) return;
    const end = () => {
      removeListeners();
      // Another copy of this package that is not done yet ends the process later.
      if (!process.listeners(signal).some((listener) => LISTENER_MARK in listener)) process.kill(process.pid, signal);
    };
    if (ending) return end();
    ending = true;
    void stopAll().then(end);
  },
  { [LISTENER_MARK]: true },
);

/** Moves our listener in front of one that was prepended. */
function onNewListener(event: string | symbol, listener: object): void {
  const signal = SIGNALS.find((one) => one === event);
  if (signal === undefined || LISTENER_MARK in listener) return;
  // The event is emitted before the listener is added.
  queueMicrotask(() => {
    if (!process.listeners(signal).includes(onSignal)) return;
    process.off(signal, onSignal);
    process.prependListener(signal, onSignal);
  });
}

function onBeforeExit(): void {
  void stopAll();
}

async function stopAll(): Promise<void> {
  await Promise.all([...participants].map((participant) => participant.stop()));
}

/**
 * The number of listeners in addition to ours. Those of signal-exit, which many packages use, are not counted: like ours, they
 * end the process if there is no other listener. Its versions 4 and 3 keep the number of their listeners in these places.
 */
function otherListeners(signal: NodeJS.Signals): number {
  type Counting = { count?: number } | undefined;
  const { [Symbol.for("signal-exit emitter")]: version4 } = globalThis as { [key: symbol]: Counting };
  const { __signal_exit_emitter__: version3 } = process as { __signal_exit_emitter__?: Counting };
  const unmarked = process.listeners(signal).filter((listener) => !(LISTENER_MARK in listener)).length;
  return unmarked - (version4?.count ?? 0) - (version3?.count ?? 0);
}

/** The program of the small process: it sends the deregistration to the addresses in order until one can carry it out. */
const SHUTDOWN_PROGRAM = `
const { targets, token } = JSON.parse(process.env.PAULINA_SHUTDOWN_REQUESTS);
const headers = token ? { authorization: "Bearer " + token } : {};
const send = ({ url, socketPath }) => new Promise((resolve) => {
  const { request } = require(url.startsWith("https:") ? "node:https" : "node:http");
  const outgoing = request(url, { method: "DELETE", headers, socketPath, timeout: 2000 });
  outgoing.on("response", (incoming) => resolve(incoming.statusCode < 500));
  outgoing.on("timeout", () => outgoing.destroy());
  outgoing.on("error", () => resolve(false));
  outgoing.end();
});
(async () => {
  for (const target of targets) if (await send(target)) process.exit();
})();`;

function onExit(): void {
  // Any other executable is the server itself, packed into one file: it would start again.
  if (!/^node(js)?(\.exe)?$/.test(basename(process.execPath))) return;
  for (const participant of participants) {
    const targets = participant.shutdownRequests();
    if (targets.length === 0) continue;
    const { NODE_OPTIONS: _, ...environment } = process.env;
    const env = { ...environment, PAULINA_SHUTDOWN_REQUESTS: JSON.stringify({ targets, token: participant.token }) };
    try {
      spawn(process.execPath, ["-e", SHUTDOWN_PROGRAM], {
        detached: true,
        stdio: "ignore",
        windowsHide: true,
        env,
      }).unref();
    } catch {
      // The lease expires.
    }
  }
}
