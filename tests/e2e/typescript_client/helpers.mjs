// Registries, processes, and a proxy for the tests of the TypeScript client.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { BINARY, WORK, freePort, sleep, until } from "../harness.mjs";

export { BINARY, ROOT, WORK, freePort, sleep, until } from "../harness.mjs";

/** The folder of these tests, and the folder of the programs that use the package. */
export const FOLDER = path.join(WORK, "typescript");
export const CONSUMER = path.join(FOLDER, "consumer");
export const TEMPORARY = fs.mkdtempSync(path.join(os.tmpdir(), "paulina-typescript-"));

const processes = new Set();

/** Starts a process. Its output is in `out` and `err`; `ended` resolves to its exit code or signal. */
export function start(command, args, { env = {}, ...options } = {}) {
  const child = spawn(command, args, { stdio: "pipe", env: { ...process.env, ...env }, ...options });
  child.out = "";
  child.err = "";
  child.stdout?.on("data", (text) => (child.out += text));
  child.stderr?.on("data", (text) => (child.err += text));
  child.stdin?.on("error", () => undefined);
  child.ended = new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code)));
  processes.add(child);
  child.ended.then(() => processes.delete(child));
  return child;
}

export function killAll() {
  for (const child of processes) child.kill("SIGKILL");
}

/** Runs a command, which must succeed, and returns its standard output. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: "utf8", ...options });
  assert.equal(done.status, 0, `${command} ${args.join(" ")}: ${done.error ?? ""}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

export async function timed(wait) {
  const began = performance.now();
  await wait;
  return Math.round(performance.now() - began);
}

/** `paulina serve` on a fixed address and file, which can be killed and started again. */
export class Registry {
  constructor(name, port, args) {
    this.database = path.join(TEMPORARY, `${name}.db`);
    this.url = `http://127.0.0.1:${port}`;
    this.listen = `127.0.0.1:${port}`;
    this.args = args;
  }

  static async make(name, ...args) {
    const registry = new Registry(name, await freePort(), args);
    await registry.start();
    return registry;
  }

  async start() {
    this.process = start(BINARY, ["serve", "--listen", this.listen, "--database", this.database, ...this.args]);
    const ready = () =>
      fetch(`${this.url}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
    await until(ready, 20, "the registry is ready").catch((error) => {
      throw new Error(`${error.message}\n${this.process.err}`);
    });
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.process.ended;
  }

  /** Returns the ids, without using the client under test. */
  async ids(query = "") {
    const answer = await fetch(`${this.url}/v1/servers?limit=1000&${query}`);
    return (await answer.json()).servers.map(({ id }) => id);
  }

  async record(id) {
    const answer = await fetch(`${this.url}/v1/servers/${id}`);
    return answer.ok ? answer.json() : undefined;
  }

  has(id) {
    return async () => (await this.ids()).includes(id);
  }

  lacks(id) {
    return async () => !(await this.ids("healthy=any")).includes(id);
  }

  /** Runs a command of Paulina for this registry, and returns its output. */
  paulina(...args) {
    return run(BINARY, args, { env: { ...process.env, PAULINA_URL: this.url } });
  }
}

/**
 * A proxy in front of the registry. `fate` decides for each method what happens to the response: it is `sent`, `held` back, or
 * `lost` together with its connection.
 */
export function startProxy(registry, fate) {
  const { hostname, port } = new URL(registry.url);
  const proxy = net.createServer((socket) => {
    const inner = net.connect(Number(port), hostname);
    let method;
    socket.on("data", (data) => {
      const [started] = data.toString().match(/^(GET|PUT|POST|DELETE)(?= )/) ?? [];
      method = started ?? method;
      proxy.requests += started === "POST" || started === "DELETE" ? 1 : 0;
      inner.write(data);
    });
    inner.on("data", (data) => {
      const action = fate(method);
      if (action === "sent") socket.write(data);
      else if (action === "lost") socket.destroy();
    });
    for (const end of [socket, inner]) end.on("error", () => undefined);
    socket.on("close", () => inner.destroy());
  });
  proxy.requests = 0;
  return new Promise((resolve) => proxy.listen(0, "127.0.0.1", () => resolve(proxy)));
}

export async function check(name, test, ...args) {
  const began = Date.now();
  try {
    const details = await test(...args);
    console.log(`  ${name}: ok (${((Date.now() - began) / 1000).toFixed(1)} s)${details ? `\n    ${details}` : ""}`);
  } catch (error) {
    console.error(`FAILED: ${name}`);
    throw error;
  }
}
