// Servers of the official SDK that announce themselves: their registration, its changes, and every kind of exit.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { BINARY, CONSUMER, Registry, WORK, freePort, startProxy, sleep, start, timed, until } from "./helpers.mjs";

/** Starts an announced server, as an MCP client does. */
function startAnnounced(registry, id, ...does) {
  const env = { PAULINA_URL: registry.url, ANNOUNCED_ID: id };
  return start("node", ["announced_server.js", ...does], { cwd: CONSUMER, env });
}

const registered = (registry, id) => until(() => registry.record(id), 5, `${id} is registered`);

/** Sends a request to a server over its standard input, and returns the result. */
async function call(child, id, method, params = {}) {
  child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  const answer = () =>
    child.out
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .find((message) => message.id === id);
  return (await until(answer, 5, `the response to ${method}`)).result;
}

const INITIALIZE = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } };

export async function registration(registry, generation) {
  const id = `announced-${generation}`;
  const child = startAnnounced(registry, id, generation, "grow");
  const tools = (names) =>
    until(
      async () => (await registry.record(id))?.capabilities.tools.map(({ name }) => name).join() === names,
      5,
      `the tools are ${names}`,
    );
  await tools("add,subtract");
  const record = await registry.record(id);
  assert.deepEqual(
    [record.name, record.title, record.version, record.description],
    ["Rechner- vier", "Calculator", "1.2.3", "Adds numbers."],
  );
  assert.deepEqual([record.tags, record.metadata, record.ttl], [["announced"], { team: "search" }, 3]);
  assert.deepEqual(record.command, [process.execPath, path.join(CONSUMER, "announced_server.js"), generation, "grow"]);
  assert.deepEqual(record.environment, [{ name: "API_KEY", required: true, secret: true }]);
  const { resources, prompts, logging, ...flags } = record.capabilities;
  assert.deepEqual(
    resources.map(({ uri, uri_template }) => uri ?? uri_template),
    ["table://sums", "sum://listed", "sum://{a}/{b}"],
  );
  assert.deepEqual([prompts[0].name, prompts[0].arguments[0].name, logging], ["explain", "a", {}]);
  assert.deepEqual(Object.keys(flags), ["tools"]);

  // It still is a normal MCP server: its client receives the same tools that are registered.
  assert.equal((await call(child, 1, "initialize", INITIALIZE)).serverInfo.title, "Calculator");
  child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  const listed = await call(child, 2, "tools/list");
  assert.deepEqual(listed.tools[0].inputSchema, record.capabilities.tools[0].inputSchema);

  child.kill("SIGUSR2");
  const noticed = await timed(tools("add"));
  await sleep(4000);
  assert(await registry.record(id), "it has expired after its ttl of 3 s");
  const [heading, ...rows] = registry.paulina("ls").split("\n");
  const row = rows.find((line) => line.endsWith(id));
  child.stdin.end();
  const ended = await timed(child.ended);
  assert.equal(await child.ended, 0, child.err);
  await until(registry.lacks(id), 0.5, "it is deregistered");
  assert(
    child.out
      .split("\n")
      .filter(Boolean)
      .every((line) => JSON.parse(line).jsonrpc === "2.0"),
    child.out,
  );
  assert.match(child.err, /^paulina: registered "Rechner- vier" as announced-\d: tools 1, resources 3, prompts 1$/m);
  const took = `a removed tool is noticed after ${noticed} ms; exit ${ended} ms after the end of input`;
  return [took, heading, row].join("\n    ");
}

/** After every kind of exit, the server is deregistered. */
export async function everyExit(registry) {
  const signalExit = JSON.parse(fs.readFileSync(path.join(WORK, "node_modules/signal-exit/package.json")));
  assert.match(signalExit.version, /^3\./);
  const terminated = (child) => child.kill("SIGTERM");
  const interrupted = (child) => child.kill("SIGINT");
  const ways = [
    { what: "SIGTERM", does: ["1"], by: terminated, ended: "SIGTERM" },
    { what: "SIGINT", does: ["2"], by: interrupted, ended: "SIGINT" },
    { what: "SIGTERM with signal-exit", does: ["1", "signal-exit"], by: terminated, ended: "SIGTERM" },
    { what: "SIGINT with signal-exit", does: ["2", "signal-exit"], by: interrupted, ended: "SIGINT" },
    { what: "SIGTERM with a handler of the program", does: ["1", "own-handler"], by: terminated, ended: 7 },
    { what: "SIGTERM with a once handler", does: ["2", "once"], by: terminated, ended: 7 },
    { what: "SIGTERM with a once handler before ours", does: ["1", "once-in-front"], by: terminated, ended: 7 },
    {
      what: "SIGTERM with a once handler and signal-exit",
      does: ["2", "once", "signal-exit"],
      by: terminated,
      ended: 7,
    },
    { what: "the end of standard input", does: ["1", "low"], by: (child) => child.stdin.end(), ended: 0 },
    { what: "process.exit", does: ["1", "exit"], by: () => undefined, ended: 5 },
    { what: "an uncaught error", does: ["2", "throw"], by: () => undefined, ended: 1 },
    {
      what: "SIGKILL",
      does: ["1", "http", "http://127.0.0.1:8000/mcp"],
      by: (child) => child.kill("SIGKILL"),
      ended: "SIGKILL",
      deregisteredWithin: 8,
    },
  ];
  const delays = [];
  for (const [number, { what, does, by, ended, deregisteredWithin = 1 }] of ways.entries()) {
    const id = `end-${number}`;
    const child = startAnnounced(registry, id, ...does);
    // A server that exits immediately may already be deregistered.
    if (!does.includes("exit") && !does.includes("throw")) {
      const record = await registered(registry, id);
      if (does.includes("http"))
        assert.deepEqual(
          [record.transport, record.url, record.headers[0].name],
          ["streamable-http", does[2], "Authorization"],
        );
    }
    by(child);
    const timeout = sleep(5_000).then(() => "no exit");
    assert.equal(await Promise.race([child.ended, timeout]), ended, `${what}: ${child.err}`);
    if (ended === 7) assert.match(child.err, /the program handles it/);
    else if (does.includes("signal-exit")) assert.match(child.err, new RegExp(`signal-exit received ${ended}`));
    if (ended !== "SIGKILL") assert.match(child.err, /registered/, what);
    delays.push(
      `${what} ${await timed(until(registry.lacks(id), deregisteredWithin, `deregistered after ${what}`))} ms`,
    );
  }
  return `deregistered after ${delays.join(", ")}`;
}

/** `process.exit` after its registration was executed, and before the response. */
export async function exitsBeforeTheResponse(registry) {
  const proxy = await startProxy(registry, (method) => (method === "POST" ? "held" : "sent"));
  const child = startAnnounced({ url: `http://127.0.0.1:${proxy.address().port}` }, "unanswered", "1", "own-handler");
  await registered(registry, "unanswered");
  child.kill("SIGTERM");
  assert.equal(await child.ended, 7, child.err);
  await until(registry.lacks("unanswered"), 1, "it is deregistered");
  proxy.close();
}

/** A server also runs without a registry, and is registered when the registry starts. */
export async function withoutARegistry() {
  const registry = new Registry("later", await freePort(), []);
  const began = performance.now();
  const child = startAnnounced(registry, "later", "1");
  await call(child, 1, "initialize", INITIALIZE);
  const answered = Math.round(performance.now() - began);
  await until(() => /not registered for now/.test(child.err), 5, "it logs that it is not registered");
  await registry.start();
  const seen = await timed(registered(registry, "later"));
  await registry.kill();
  child.stdin.end();
  const ended = await timed(child.ended);
  assert.equal(await child.ended, 0, child.err);

  const wrong = start("node", ["announced_server.js", "1"], { cwd: CONSUMER, env: { PAULINA_URL: "ftp://nowhere" } });
  await call(wrong, 1, "initialize", INITIALIZE);
  wrong.stdin.end();
  assert.equal(await wrong.ended, 0, wrong.err);
  assert.match(wrong.err, /not registered: "ftp:\/\/nowhere" is not a valid registry address/);
  const first = `response ${answered} ms after its start, registered ${seen} ms after the start of the registry`;
  return `${first}, exit ${ended} ms after the end of input`;
}

/** A registry that accepts connections and does not respond delays neither a start nor an exit for long. */
export async function unresponsiveRegistry(registry) {
  const child = startAnnounced(registry, "hanging", "1");
  await until(() => /registered/.test(child.err), 5, "it is registered");
  registry.process.kill("SIGSTOP");
  const other = startAnnounced(registry, "other", "2");
  await call(other, 1, "initialize", INITIALIZE);
  child.kill("SIGTERM");
  const ended = await timed(child.ended);
  assert.equal(await child.ended, "SIGTERM");
  assert(ended < 2500, `${ended} ms`);
  other.stdin.end();
  const left = await timed(other.ended);
  assert.equal(await other.ended, 0, other.err);
  registry.process.kill("SIGCONT");
  return `exit ${ended} ms after SIGTERM, ${left} ms after the end of input`;
}

/** `paulina inspect` reads the server, and the short-lived process leaves no registration behind. */
export async function inspect(registry) {
  const description = JSON.parse(
    registry.paulina("inspect", "--", "node", path.join(CONSUMER, "announced_server.js"), "2"),
  );
  assert.deepEqual(
    description.capabilities.tools.map(({ name }) => name),
    ["add"],
  );
  await until(async () => (await registry.ids("tag=announced")).length === 0, 1, "it is deregistered");
}

/** A server behind `paulina announce` does not announce itself in addition. */
export async function announcedFromOutside(registry) {
  const server = [process.execPath, path.join(CONSUMER, "announced_server.js"), "2"];
  const child = start(BINARY, ["announce", "--tag", "outside", "--", ...server], {
    env: { PAULINA_URL: registry.url },
  });
  await until(async () => (await registry.ids("tag=outside")).length === 1, 5, "it is announced");
  await sleep(1_000);
  assert.deepEqual(await registry.ids("tag=announced"), [], "it must be registered once");
  child.stdin.end();
  await until(async () => (await registry.ids("tag=outside")).length === 0, 5, "it is deregistered");
}
