// Queries: every filter, pages, picking one of many, and the errors.

import assert from "node:assert/strict";
import http from "node:http";
import { BINARY, freePort, run, sleep, until } from "./helpers.mjs";

const SERVERS = {
  files: {
    name: "files",
    title: "Dateien",
    version: "1.0",
    transport: "stdio",
    command: ["files"],
    tags: ["local", "npm"],
    metadata: { team: "search", tier: "1" },
    ttl: 600,
    capabilities: {
      tools: ["read_file", { name: "write_file", description: "Writes a whole file", inputSchema: { type: "object" } }],
      resources: ["file:///{path}"],
      sampling: true,
    },
  },
  web: {
    name: "web",
    version: "2.0",
    transport: "streamable-http",
    url: "http://127.0.0.1/mcp",
    headers: [{ name: "Authorization", secret: true }],
    tags: ["npm"],
    ttl: 600,
    capabilities: {
      tools: ["fetch", "read_file"],
      resources: [{ uri: "web://start", name: "start" }],
      prompts: [{ name: "summarize" }],
    },
  },
  old: { name: "web", version: "1.0", transport: "sse", url: "http://127.0.0.1/sse", tags: ["old"], ttl: 600 },
};

const EVERY_FILTER = [
  [{}, ["files", "old", "web"]],
  [{ name: "web" }, ["old", "web"]],
  [{ tool: "read_file" }, ["files", "web"]],
  [{ tool: ["read_file", "write_file"] }, ["files"]],
  [{ prompt: "summarize" }, ["web"]],
  [{ resource: "file:///etc/hosts" }, ["files"]],
  [{ resource: "web://start" }, ["web"]],
  [{ capability: "sampling" }, ["files"]],
  [{ capability: ["tools", "prompts"] }, ["web"]],
  [{ tag: "npm" }, ["files", "web"]],
  [{ tags: ["npm", "local"] }, ["files"]],
  [{ tags: ["npm,local"] }, []],
  [{ tags: [], tool: [], name: undefined }, ["files", "old", "web"]],
  [{ transport: "stdio" }, ["files"]],
  [{ transport: "http" }, ["web"]],
  [{ transport: "sse" }, ["old"]],
  [{ version: "1.0" }, ["files", "old"]],
  [{ metadata: { team: "search", tier: "1" } }, ["files"]],
  [{ metadata: { team: "office" } }, []],
  [{ owner: "nobody" }, []],
  [{ q: "whole fil", match: "all" }, ["files"]],
  [{ q: "dateien", match: "all", healthy: true }, ["files"]],
  [{ healthy: false }, ["lapsed"]],
  [{ healthy: "any" }, ["files", "lapsed", "old", "web"]],
  [{ tool: "read_file", tag: "local", transport: "stdio" }, ["files"]],
];

async function collect(iterable, key) {
  const found = [];
  for await (const one of iterable) found.push(one[key]);
  return found;
}

/** Returns the ids on all pages. */
async function pages(client, filters) {
  const found = [];
  for (let cursor; cursor !== null;) {
    const page = await client.findPage({ ...filters, cursor });
    assert(page.servers.length <= filters.limit);
    found.push(...page.servers.map(({ id }) => id));
    cursor = page.next_cursor;
  }
  return found;
}

export async function everyFilter(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  for (const [id, server] of Object.entries(SERVERS)) {
    const registered = await client.register({ id, ...server });
    assert.deepEqual([registered.id, registered.created], [id, true]);
  }
  await client.register({ id: "lapsed", name: "lapsed", transport: "stdio", command: ["lapsed"], ttl: 1 });
  while ((await client.health("lapsed")).health === "healthy");
  for (const [filters, expected] of EVERY_FILTER) {
    const message = JSON.stringify(filters);
    assert.deepEqual((await collect(client.find(filters), "id")).sort(), expected, message);
    assert.deepEqual((await pages(client, { ...filters, limit: 1 })).sort(), expected, `${message}, one per page`);
  }

  const {
    servers: [files],
    next_cursor,
  } = await client.findPage({ limit: 1, view: "full" });
  assert.equal(files.capabilities.tools[1].inputSchema.type, "object");
  const {
    servers: [web],
  } = await client.findPage({ cursor: next_cursor });
  assert.deepEqual(
    [web.id, web.url, web.command, web.headers[0].name],
    ["web", "http://127.0.0.1/mcp", null, "Authorization"],
  );
  assert.equal((await client.findPage({ name: "files" })).servers[0].capabilities.tools[1].inputSchema, undefined);

  assert.deepEqual(await collect(client.tools(), "name"), ["fetch", "read_file", "write_file"]);
  assert.deepEqual(await collect(client.tools({ limit: 2, tag: "npm" }), "name"), ["fetch", "read_file"]);
  const {
    tools: [{ servers }],
  } = await client.toolsPage({ tool: "read_file" });
  assert.deepEqual(
    servers.map(({ id }) => id),
    ["files", "web"],
  );
  const stats = await client.stats();
  assert.deepEqual([stats.servers.total, stats.servers.by_name.web, stats.tools], [4, 2, 4]);
  assert.equal((await client.get("files")).title, "Dateien");
  assert.equal(await client.get("nobody"), undefined);
  assert.equal(await client.health("nobody"), undefined);
  assert((await client.health("web")).expires_in_ms > 500_000);
  const { refreshed, not_registered } = await client.refreshMany(["files", "nobody"]);
  assert.deepEqual([refreshed[0].id, not_registered], ["files", ["nobody"]]);
  return `${EVERY_FILTER.length} filters, each in one call and page by page`;
}

export async function picks(registry, { Client, NoHealthyServers }) {
  const client = new Client({ addresses: registry.url });
  const seen = new Set();
  for (let tries = 0; seen.size < 2 && tries < 100; tries += 1) seen.add((await client.pick("web")).id);
  assert.deepEqual([...seen].sort(), ["old", "web"], "each of them must be picked sometimes");
  const error = await client.pick("lapsed").catch((reason) => reason);
  assert(error instanceof NoHealthyServers && error.temporary && error.server === "lapsed");
  assert.equal(error.message, 'no server named "lapsed" is healthy: start one, or wait for one with watch');
}

/** At most `limit` servers are returned. A page has a hundred of them by default, and at most a thousand. */
export async function limits(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const many = Array.from({ length: 1_100 }, (_, number) => `many-${number}`);
  const more = { transport: "stdio", command: ["many"], capabilities: { tools: ["count"] }, ttl: 600 };
  // A few hundred at a time: the registry refuses more than a thousand concurrent requests.
  const each = async (call) => {
    for (let begin = 0; begin < many.length; begin += 200) await Promise.all(many.slice(begin, begin + 200).map(call));
  };
  await each((id) => client.register({ id, name: "many", ...more }));
  const all = await collect(client.find({ name: "many" }), "id");
  assert.deepEqual([...all].sort(), [...many].sort());
  for (const limit of [1, 100, 101, 1_000, 1_001, 1_100, 5_000, Infinity]) {
    assert.deepEqual(await collect(client.find({ name: "many", limit }), "id"), all.slice(0, limit), String(limit));
  }
  const { servers, next_cursor } = await client.findPage({ name: "many", limit: 1_000 });
  assert.deepEqual([servers.length, (await client.findPage({ name: "many" })).servers.length], [1_000, 100]);
  assert.deepEqual(await collect(client.find({ cursor: next_cursor }), "id"), all.slice(1_000));
  assert.equal((await thrown(() => collect(client.find({ limit: 0 })))).code, "invalid_query");
  assert.equal((await thrown(() => client.findPage({ limit: 1_001 }))).code, "invalid_query");
  assert(many.includes((await client.pick("many")).id));
  await each((id) => client.deregister(id));
}

/** Returns the error that a call throws. */
async function thrown(call) {
  try {
    return assert.fail(`it returned ${JSON.stringify(await call())}`);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return error;
  }
}

export async function errors(registry, all) {
  const { Client, LeaseReplaced, NotARegistry, NotRegistered, PaulinaError, ApiError, Unreachable } = all;
  const client = new Client({ addresses: registry.url });
  const invalid = await thrown(() => client.register({ name: "a:b", transport: "stdio", ttl: 0 }));
  assert(invalid instanceof ApiError && invalid instanceof PaulinaError && !invalid.temporary);
  assert.deepEqual([invalid.status, invalid.code], [422, "invalid_registration"]);
  assert.deepEqual(invalid.errors.map(({ pointer }) => pointer).sort(), ["/command", "/name", "/ttl"]);
  assert.match(invalid.message, /\/ttl must be between 1 and 86400/);
  assert.equal((await thrown(() => client.findPage({ nonsense: "1" }))).code, "invalid_query");
  const { name, transport, command } = SERVERS.files;
  assert.equal(
    (await thrown(() => client.register({ id: "files", name, transport, command }, { newOnly: true }))).code,
    "already_registered",
  );

  const lease = await client.register({ id: "mine", name: "mine", transport: "stdio", command: ["mine"] });
  await client.refresh(lease);
  await client.register({ id: "mine", name: "mine", transport: "stdio", command: ["mine"] });
  for (const call of [() => client.refresh(lease), () => client.deregister(lease)]) {
    const error = await thrown(call);
    assert(error instanceof LeaseReplaced && error.id === "mine" && !error.temporary);
  }
  await client.refresh("mine");
  await client.deregister("mine");
  for (const id of ["mine", "..", ""]) {
    for (const call of [() => client.refresh(id), () => client.deregister(id)]) {
      const error = await thrown(call);
      assert(error instanceof NotRegistered && error.id === id);
    }
    assert.equal(await client.get(id), undefined);
  }

  const unused = `http://127.0.0.1:${await freePort()}`;
  const unreachable = await thrown(() => new Client({ addresses: unused }).stats());
  assert(unreachable instanceof Unreachable && unreachable.temporary);
  assert.deepEqual([unreachable.addresses, unreachable.reason.startsWith("connect ECONNREFUSED")], [[unused], true]);
  assert.match(unreachable.message, /^no registry answers at http:.+ Start one with "paulina serve"/);
  let status = 200;
  const other = http.createServer((_, answer) => answer.writeHead(status).end("hello")).listen(0, "127.0.0.1");
  await new Promise((resolve) => other.on("listening", resolve));
  const notARegistry = new Client({ addresses: `http://127.0.0.1:${other.address().port}` });
  for (status of [200, 404, 502])
    for (const call of [() => notARegistry.stats(), () => notARegistry.watch().next()])
      assert((await thrown(call)) instanceof NotARegistry, `${call} with ${status}`);
  const waiting = notARegistry.keepAlive({ name, transport, command });
  await until(() => waiting.status.state === "failing", 3, "the heartbeat reports that there is no registry");
  const waits = Promise.race([waiting.registered(), sleep(1_000).then(() => "waits")]);
  assert.deepEqual([waiting.status.error.name, await waits], ["NotARegistry", "waits"]);
  await Promise.all([waiting.stop(), thrown(() => waiting.registered())]);
  other.close();
  for (const addresses of ["ftp://127.0.0.1", "nonsense", "", [], "http://user:hunter2@127.0.0.1"]) {
    const error = await thrown(() => new Client({ addresses }));
    assert(error instanceof PaulinaError && !error.message.includes("hunter2"), error.message);
  }
  assert.throws(() => new Client({ token: "not one" }), PaulinaError);
}

export async function tokens(registry, { Client, ApiError }) {
  const made = (name, role) =>
    run(BINARY, ["token", "create", "--database", registry.database, "--name", name, "--role", role])
      .trim()
      .split("\n")
      .at(-1);
  const [reader, writer] = [made("reader", "read"), made("writer", "register")];
  const client = (token) => new Client({ addresses: registry.url, token });
  const code = (call) => thrown(call).then((error) => error instanceof ApiError && error.code);
  assert.equal(await code(() => client("").stats()), "unauthorized");
  assert.equal(await code(() => client("paulina_wrong").stats()), "unauthorized");
  await client(reader).stats();
  const server = { id: "owned", name: "owned", transport: "stdio", command: ["owned"], ttl: 600 };
  assert.equal(await code(() => client(reader).register(server)), "forbidden");
  assert.equal((await client(writer).register(server)).owner, "writer");
  assert.equal((await client(reader).findPage({ owner: "writer" })).servers[0].id, "owned");
  const watching = client("paulina_wrong").watch();
  assert.equal(await code(() => watching.next()), "unauthorized", "a watch must not retry after a permanent error");
}
