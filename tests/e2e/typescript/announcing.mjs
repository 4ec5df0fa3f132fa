// Servers of the official SDK that announce themselves: what is registered, what changes, and how they end.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { BINARY, CONSUMER, Registry, WORK, freePort, proxied, sleep, start, timed, until } from "./support.mjs";

/** An announced server, as a client starts it. */
function announced(registry, id, ...does) {
  const env = { PAULINA_URL: registry.url, ANNOUNCED_ID: id };
  return start("node", ["announced.js", ...does], { cwd: CONSUMER, env });
}

const registered = (registry, id) => until(() => registry.record(id), 5, `${id} is registered`);

/** Says something to a server over its standard input and gives its answer. */
async function ask(child, id, method, params = {}) {
  child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  const answer = () =>
    child.out
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .find((message) => message.id === id);
  return (await until(answer, 5, `${method} is answered`)).result;
}

const GREETING = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } };

export async function whatItCanDo(registry, generation) {
  const id = `announced-${generation}`;
  const child = announced(registry, id, generation, "grow");
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
  assert.deepEqual(record.command, [process.execPath, path.join(CONSUMER, "announced.js"), generation, "grow"]);
  assert.deepEqual(record.environment, [{ name: "API_KEY", required: true, secret: true }]);
  const { resources, prompts, logging, ...flags } = record.capabilities;
  assert.deepEqual(
    resources.map(({ uri, uri_template }) => uri ?? uri_template),
    ["table://sums", "sum://listed", "sum://{a}/{b}"],
  );
  assert.deepEqual([prompts[0].name, prompts[0].arguments[0].name, logging], ["explain", "a", {}]);
  assert.deepEqual(Object.keys(flags), ["tools"]);

  // It is a server as before: what it says to its client is MCP, and the same as what is registered.
  assert.equal((await ask(child, 1, "initialize", GREETING)).serverInfo.title, "Calculator");
  child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  const listed = await ask(child, 2, "tools/list");
  assert.deepEqual(listed.tools[0].inputSchema, record.capabilities.tools[0].inputSchema);

  child.kill("SIGUSR2");
  const noticed = await timed(tools("add"));
  await sleep(4000);
  assert(await registry.record(id), "it outlives its ttl of 3 s");
  const [heading, ...rows] = registry.paulina("ls").split("\n");
  const row = rows.find((line) => line.endsWith(id));
  child.stdin.end();
  const ended = await timed(child.ended);
  assert.equal(await child.ended, 0, child.err);
  await until(registry.lacks(id), 0.5, "it is gone");
  assert(
    child.out
      .split("\n")
      .filter(Boolean)
      .every((line) => JSON.parse(line).jsonrpc === "2.0"),
    child.out,
  );
  assert.match(child.err, /^paulina: registered "Rechner- vier" as announced-\d: tools 1, resources 3, prompts 1$/m);
  const took = `a tool less is seen after ${noticed} ms; it ends ${ended} ms after its standard input`;
  return [took, heading, row].join("\n    ");
}

/** How each way to end leaves the registry. */
export async function everyEnd(registry) {
  const signalExit = JSON.parse(fs.readFileSync(path.join(WORK, "node_modules/signal-exit/package.json")));
  assert.match(signalExit.version, /^3\./);
  const terminated = (child) => child.kill("SIGTERM");
  const interrupted = (child) => child.kill("SIGINT");
  const ways = [
    { what: "SIGTERM", does: ["1"], by: terminated, ended: "SIGTERM" },
    { what: "SIGINT", does: ["2"], by: interrupted, ended: "SIGINT" },
    { what: "SIGTERM beside signal-exit", does: ["1", "signal-exit"], by: terminated, ended: "SIGTERM" },
    { what: "SIGINT beside signal-exit", does: ["2", "signal-exit"], by: interrupted, ended: "SIGINT" },
    { what: "SIGTERM that the program handles", does: ["1", "own-handler"], by: terminated, ended: 7 },
    { what: "SIGTERM that it handles once", does: ["2", "once"], by: terminated, ended: 7 },
    { what: "SIGTERM that it handles once, in front", does: ["1", "once-in-front"], by: terminated, ended: 7 },
    { what: "SIGTERM that it handles beside signal-exit", does: ["2", "once", "signal-exit"], by: terminated, ended: 7 },
    { what: "the end of standard input", does: ["1", "low"], by: (child) => child.stdin.end(), ended: 0 },
    { what: "process.exit", does: ["1", "exit"], by: () => undefined, ended: 5 },
    { what: "an error that nobody catches", does: ["2", "throw"], by: () => undefined, ended: 1 },
    {
      what: "SIGKILL",
      does: ["1", "http", "http://127.0.0.1:8000/mcp"],
      by: (child) => child.kill("SIGKILL"),
      ended: "SIGKILL",
      gone: 8,
    },
  ];
  const said = [];
  for (const [number, { what, does, by, ended, gone = 1 }] of ways.entries()) {
    const id = `end-${number}`;
    const child = announced(registry, id, ...does);
    // What ends at once may be gone already.
    if (!does.includes("exit") && !does.includes("throw")) {
      const record = await registered(registry, id);
      if (does.includes("http"))
        assert.deepEqual(
          [record.transport, record.url, record.headers[0].name],
          ["streamable-http", does[2], "Authorization"],
        );
    }
    by(child);
    const late = sleep(5_000).then(() => "nothing");
    assert.equal(await Promise.race([child.ended, late]), ended, `${what}: ${child.err}`);
    if (ended === 7) assert.match(child.err, /the program handles it/);
    else if (does.includes("signal-exit")) assert.match(child.err, new RegExp(`signal-exit is told of ${ended}`));
    if (ended !== "SIGKILL") assert.match(child.err, /registered/, what);
    said.push(`${what} ${await timed(until(registry.lacks(id), gone, `gone after ${what}`))} ms`);
  }
  return `gone after ${said.join(", ")}`;
}

/** It ends by `process.exit` after its registration was carried out, and before the response to it. */
export async function endsBeforeTheResponse(registry) {
  const proxy = await proxied(registry, (method) => (method === "POST" ? "held" : "sent"));
  const child = announced({ url: `http://127.0.0.1:${proxy.address().port}` }, "unanswered", "1", "own-handler");
  await registered(registry, "unanswered");
  child.kill("SIGTERM");
  assert.equal(await child.ended, 7, child.err);
  await until(registry.lacks("unanswered"), 1, "it is gone");
  proxy.close();
}

/** A server runs whether there is a registry or not, and is registered when there is one. */
export async function withoutARegistry() {
  const registry = new Registry("later", await freePort(), []);
  const began = performance.now();
  const child = announced(registry, "later", "1");
  await ask(child, 1, "initialize", GREETING);
  const answered = Math.round(performance.now() - began);
  await until(() => /not registered for now/.test(child.err), 5, "it says so");
  await registry.start();
  const seen = await timed(registered(registry, "later"));
  await registry.kill();
  child.stdin.end();
  const ended = await timed(child.ended);
  assert.equal(await child.ended, 0, child.err);

  const wrong = start("node", ["announced.js", "1"], { cwd: CONSUMER, env: { PAULINA_URL: "ftp://nowhere" } });
  await ask(wrong, 1, "initialize", GREETING);
  wrong.stdin.end();
  assert.equal(await wrong.ended, 0, wrong.err);
  assert.match(wrong.err, /not registered: "ftp:\/\/nowhere" is no address of a registry/);
  const first = `answers ${answered} ms after its start, registered ${seen} ms after the registry was there`;
  return `${first}, ends ${ended} ms after its standard input`;
}

/** A registry that takes connections and says nothing holds up neither a start nor an end for long. */
export async function hangs(registry) {
  const child = announced(registry, "hanging", "1");
  await until(() => /registered/.test(child.err), 5, "it is registered");
  registry.process.kill("SIGSTOP");
  const other = announced(registry, "other", "2");
  await ask(other, 1, "initialize", GREETING);
  child.kill("SIGTERM");
  const ended = await timed(child.ended);
  assert.equal(await child.ended, "SIGTERM");
  assert(ended < 2500, `${ended} ms`);
  other.stdin.end();
  const left = await timed(other.ended);
  assert.equal(await other.ended, 0, other.err);
  registry.process.kill("SIGCONT");
  return `ends ${ended} ms after SIGTERM, ${left} ms after its standard input`;
}

/** A client of either era finds the server as it was, and a process that lives for a moment leaves nothing behind. */
export async function inspected(registry) {
  const description = JSON.parse(registry.paulina("inspect", "--", "node", path.join(CONSUMER, "announced.js"), "2"));
  assert.deepEqual(
    description.capabilities.tools.map(({ name }) => name),
    ["add"],
  );
  await until(async () => (await registry.ids("tag=announced")).length === 0, 1, "it is gone");
}

/** `paulina announce` announces it, and so it does not do that itself. */
export async function announcedTwice(registry) {
  const server = [process.execPath, path.join(CONSUMER, "announced.js"), "2"];
  const child = start(BINARY, ["announce", "--tag", "outside", "--", ...server], { env: { PAULINA_URL: registry.url } });
  await until(async () => (await registry.ids("tag=outside")).length === 1, 5, "it is announced");
  await sleep(1_000);
  assert.deepEqual(await registry.ids("tag=announced"), [], "and that once");
  child.stdin.end();
  await until(async () => (await registry.ids("tag=outside")).length === 0, 5, "it is gone");
}
