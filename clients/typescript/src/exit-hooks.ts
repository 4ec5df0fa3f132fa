/**
 * Taking servers out when the process ends, without a say in how it ends.
 *
 * A process that ends by itself, or by a signal that nobody else handles, waits until its servers are out. A program that
 * handles the signal itself decides when it ends; at `process.exit` there is no time left to ask anything over the network,
 * and a small process does it right after.
 */

import { spawn } from "node:child_process";
import { basename } from "node:path";
import type { Place } from "./transport.js";

/** What has to be taken out in the end. */
export interface Leaver {
  stop(): Promise<void>;
  /** Where a deregistration would go, from the address to be asked first. */
  farewells(): Place[];
  token: string | undefined;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
/** Marks our listeners, also for another copy of this package. */
const OURS = Symbol.for("paulina-client: at the end");
const leavers = new Set<Leaver>();
let ending = false;

/** Takes it out when the process ends; until the function that is given back is called. */
export function atTheEnd(leaver: Leaver): () => void {
  if (leavers.size === 0) listen();
  leavers.add(leaver);
  return () => {
    if (leavers.delete(leaver) && leavers.size === 0) hush();
  };
}

function listen(): void {
  ending = false;
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  process.on("newListener", onNewListener);
  process.on("beforeExit", onBeforeExit);
  process.on("exit", onExit);
}

function hush(): void {
  for (const signal of SIGNALS) process.off(signal, onSignal);
  process.off("newListener", onNewListener);
  process.off("beforeExit", onBeforeExit);
  process.off("exit", onExit);
}

const onSignal = Object.assign(
  (signal: NodeJS.Signals) => {
    // Whoever handles it as well decides what it means. Who does so once is counted because ours is called before it.
    if (others(signal) > 0) return;
    const end = () => {
      hush();
      // Another copy of this package that is not done yet ends the process in its turn.
      if (!process.listeners(signal).some((listener) => OURS in listener)) process.kill(process.pid, signal);
    };
    if (ending) return end();
    ending = true;
    void stopAll().then(end);
  },
  { [OURS]: true },
);

/** Goes in front again of whatever has been put in front since. */
function onNewListener(event: string | symbol, listener: object): void {
  const signal = SIGNALS.find((one) => one === event);
  if (signal === undefined || OURS in listener) return;
  // It is told of before it is there.
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
  await Promise.all([...leavers].map((leaver) => leaver.stop()));
}

/**
 * How many listeners there are beside ours. Those of signal-exit, which many packages bring, are not counted: like ours, they
 * end the process when there is nobody else. Its versions 4 and 3 say in these places how many listeners they have.
 */
function others(signal: NodeJS.Signals): number {
  type Counting = { count?: number } | undefined;
  const { [Symbol.for("signal-exit emitter")]: fourth } = globalThis as { [key: symbol]: Counting };
  const { __signal_exit_emitter__: third } = process as { __signal_exit_emitter__?: Counting };
  const foreign = process.listeners(signal).filter((listener) => !(OURS in listener)).length;
  return foreign - (fourth?.count ?? 0) - (third?.count ?? 0);
}

/** What the small process does: the first address that can do it does it. */
const LAST_WORDS = `
const { places, token } = JSON.parse(process.env.PAULINA_FAREWELL);
const headers = token ? { authorization: "Bearer " + token } : {};
const done = ({ url, socketPath }) => new Promise((resolve) => {
  const { request } = require(url.startsWith("https:") ? "node:https" : "node:http");
  const asking = request(url, { method: "DELETE", headers, socketPath, timeout: 2000 });
  asking.on("response", (answer) => resolve(answer.statusCode < 500));
  asking.on("timeout", () => asking.destroy());
  asking.on("error", () => resolve(false));
  asking.end();
});
(async () => {
  for (const place of places) if (await done(place)) process.exit();
})();`;

function onExit(): void {
  // Elsewhere the program that runs is the server itself, put into one file, and would start again.
  if (!/^node(js)?(\.exe)?$/.test(basename(process.execPath))) return;
  for (const leaver of leavers) {
    const places = leaver.farewells();
    if (places.length === 0) continue;
    const { NODE_OPTIONS: _, ...environment } = process.env;
    const env = { ...environment, PAULINA_FAREWELL: JSON.stringify({ places, token: leaver.token }) };
    try {
      spawn(process.execPath, ["-e", LAST_WORDS], { detached: true, stdio: "ignore", windowsHide: true, env }).unref();
    } catch {
      // The lease runs out by itself.
    }
  }
}
