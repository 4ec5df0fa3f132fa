// Registries and real MCP servers for the tests of the web UI.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { BINARY, ROOT, WORK, freePort, until } from "../harness.mjs";

export const TEMPORARY = fs.mkdtempSync(path.join(os.tmpdir(), "paulina-ui-"));

export const processes = new Set();

export function start(command, args, options = {}) {
  const log = fs.openSync(path.join(TEMPORARY, "output.log"), "a");
  const child = spawn(command, args, { stdio: ["pipe", log, log], ...options });
  child.exited = new Promise((resolve) => child.on("exit", resolve));
  processes.add(child);
  child.exited.then(() => processes.delete(child));
  return child;
}

export async function end(child, signal = "SIGTERM") {
  child.kill(signal);
  await child.exited;
}

/** `paulina serve` on a fixed port and file, which can be killed and started again. */
export class Registry {
  constructor(name, port) {
    this.database = path.join(TEMPORARY, `${name}.db`);
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async make(name) {
    const registry = new Registry(name, await freePort());
    await registry.start();
    return registry;
  }

  async start() {
    this.process = start(BINARY, ["serve", "--listen", `127.0.0.1:${this.port}`, "--database", this.database]);
    await until(
      () =>
        fetch(`${this.url}/readyz`).then(
          (answer) => answer.ok,
          () => false,
        ),
      20,
      "the registry is ready",
    );
  }

  async get(address, token) {
    const answer = await fetch(this.url + address, { headers: token ? { authorization: `Bearer ${token}` } : {} });
    assert.equal(answer.status, 200, `${address}: ${answer.status}`);
    return answer.json();
  }

  async register(body) {
    const answer = await fetch(`${this.url}/v1/servers`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    assert(answer.ok, `${answer.status} ${await answer.text()}`);
  }

  async deregister(id) {
    const answer = await fetch(`${this.url}/v1/servers/${id}`, { method: "DELETE" });
    assert.equal(answer.status, 204);
  }
}

/** Starts a proxy that serves the registry under a path prefix. */
export async function proxyUnder(registry, prefix) {
  const server = http.createServer((request, response) => {
    const { method, headers, url } = request;
    if (!url.startsWith(`${prefix}/`)) return void response.writeHead(404).end();
    const forwarded = http.request(registry.url + url.slice(prefix.length), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    forwarded.on("error", () => response.destroy());
    response.on("close", () => forwarded.destroy());
    request.pipe(forwarded);
  });
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { origin: `http://127.0.0.1:${port}`, close };
}

/** Announces all installed servers. Returns the announcing process of each id. */
export async function announceAll(registry) {
  // By program name, as users write them.
  const bins = ["node_modules/.bin", "venv-time/bin", "venv-git/bin"].map((folder) => path.join(WORK, folder));
  const env = { ...process.env, PATH: [...bins, process.env.PATH].join(":") };
  const isThere = (program) => bins.some((folder) => fs.existsSync(path.join(folder, program)));
  const files = path.join(TEMPORARY, "files");
  fs.mkdirSync(files);
  spawnSync("git", ["init", "--quiet", files]);
  const [everything, notes] = [await freePort(), await freePort()];
  const commands = {
    everything: ["--tag", "npm", "--tag", "reference", "--metadata", "team=platform", "--", "mcp-server-everything"],
    filesystem: ["--tag", "npm", "--tag", "local", "--", "mcp-server-filesystem", files],
    memory: ["--tag", "npm", "--env", "MEMORY_FILE_PATH", "--", "mcp-server-memory"],
    thinking: ["--tag", "npm", "--", "mcp-server-sequential-thinking"],
    time: ["--tag", "pypi", "--", "mcp-server-time"],
    git: ["--tag", "pypi", "--tag", "local", "--", "mcp-server-git", "--repository", files],
    "everything-http": ["--tag", "npm", "--url", `http://127.0.0.1:${everything}/mcp`],
    notes: ["--tag", "pypi", "--metadata", "team=office", "--url", `http://127.0.0.1:${notes}/mcp`],
  };
  const fastmcp = path.join(WORK, "venv-fastmcp/bin/python");
  if (fs.existsSync(fastmcp)) start(fastmcp, [path.join(ROOT, "tests/e2e/fixtures/fastmcp_notes.py"), String(notes)]);
  else delete commands.notes;
  start("mcp-server-everything", ["streamableHttp"], { env: { ...env, PORT: String(everything) } });
  const announced = {};
  for (const [id, args] of Object.entries(commands)) {
    if (args.includes("--") && !isThere(args[args.indexOf("--") + 1])) continue;
    announced[id] = start(BINARY, ["announce", "--registry", registry.url, "--id", id, "--ttl", "10", ...args], {
      env,
    });
  }
  const ids = Object.keys(announced).sort();
  const registered = async () => (await registry.get("/v1/servers")).servers.map(({ id }) => id).sort();
  await until(async () => String(await registered()) === String(ids), 60, `all of ${ids} are registered`);
  return announced;
}
