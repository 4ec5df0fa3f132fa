// Registries and other processes, as their users have them, for the tests of the TypeScript client.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
export const WORK = path.join(ROOT, "target/e2e");
/** What is installed for these tests, and where programs that use the package live. */
export const FOLDER = path.join(WORK, "typescript");
export const CONSUMER = path.join(FOLDER, "consumer");
export const BINARY = process.env.PAULINA_BINARY ?? path.join(ROOT, "target/release/paulina");
export const TEMPORARY = fs.mkdtempSync(path.join(os.tmpdir(), "paulina-typescript-"));

const processes = new Set();
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A process; what it says is in `out` and `err`, how it ends in `ended`. */
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

/** Runs a command to its end and gives what it wrote to its standard output. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: "utf8", ...options });
  assert.equal(done.status, 0, `${command} ${args.join(" ")}: ${done.error ?? ""}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

/** Waits until something is so, and gives it; throws what it threw last. */
export async function until(condition, seconds, what) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    assert(Date.now() < deadline, `${what}: not within ${seconds} s`);
    await sleep(10);
  }
}

export async function timed(wait) {
  const began = performance.now();
  await wait;
  return Math.round(performance.now() - began);
}

export function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** `paulina serve` on one address and one file, to be killed and started again. */
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

  /** As another program sees it, without the client. */
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

  /** What the command says of it. */
  paulina(...args) {
    return run(BINARY, args, { env: { ...process.env, PAULINA_URL: this.url } });
  }
}

/**
 * A proxy in front of the registry. `fate` says what becomes of the response to a request of this method: it is `sent`, `held`
 * back, or `lost` with its connection.
 */
export function proxied(registry, fate) {
  const { hostname, port } = new URL(registry.url);
  const proxy = net.createServer((socket) => {
    const inner = net.connect(Number(port), hostname);
    let method;
    socket.on("data", (data) => {
      const [begun] = data.toString().match(/^(GET|PUT|POST|DELETE)(?= )/) ?? [];
      method = begun ?? method;
      proxy.requests += begun === "POST" || begun === "DELETE" ? 1 : 0;
      inner.write(data);
    });
    inner.on("data", (data) => {
      const becomes = fate(method);
      if (becomes === "sent") socket.write(data);
      else if (becomes === "lost") socket.destroy();
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
    const said = await test(...args);
    console.log(`  ${name}: ok (${((Date.now() - began) / 1000).toFixed(1)} s)${said ? `\n    ${said}` : ""}`);
  } catch (error) {
    console.error(`FAILED: ${name}`);
    throw error;
  }
}
