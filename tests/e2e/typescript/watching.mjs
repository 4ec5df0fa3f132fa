// Watching: every change, once, in its order, through the ends of a registry.

import assert from "node:assert/strict";
import path from "node:path";
import { CONSUMER, sleep, until } from "./support.mjs";

const server = (id, more = {}) => ({
  id,
  name: "watched",
  transport: "stdio",
  command: ["watched"],
  tags: ["seen"],
  ttl: 600,
  ...more,
});

/** Watches in the background; what is told is in `told`. */
function follow(client, filters, options) {
  const told = [];
  const over = (async () => {
    for await (const event of client.watch(filters, options)) told.push(event);
  })();
  const kinds = () => told.map(({ kind, server: one }) => (one ? `${kind} ${one.id}` : kind));
  const says = (...expected) =>
    until(() => kinds().length >= expected.length, 5, `${expected}; so far ${kinds()}`).then(() =>
      assert.deepEqual(kinds(), expected),
    );
  return { told, over, says };
}

export async function everyChange(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  await client.register(server("first"));
  const ending = new AbortController();
  const { told, over, says } = follow(client, { tag: "seen" }, { signal: ending.signal });
  await says("snapshot");
  assert.deepEqual(
    told[0].servers.map(({ id }) => id),
    ["first"],
  );
  await client.register(server("second", { ttl: 1 }));
  await client.register(server("other", { tags: ["unseen"] }));
  await client.register(server("first", { version: "2" }));
  await client.refresh("first");
  await client.deregister("first");
  await says("snapshot", "registered second", "updated first", "deregistered first", "expired second");
  assert.equal(told[2].server.version, "2");

  const resumed = client.watch({ tag: "seen" }, { since: told[1].revision });
  assert.equal((await resumed.next()).value.revision, told[2].revision, "it goes on right after what was seen");
  await resumed.return();
  ending.abort();
  await over;
  for await (const event of client.watch({}, { signal: ending.signal })) assert.fail(event.kind);
  await client.deregister("other");
}

/** As a proxy before a registry that is down does. */
async function aProxyAnswers(ms) {
  const { fetch } = globalThis;
  let answers = 0;
  globalThis.fetch = async () => {
    answers += 1;
    return new Response("Bad Gateway", { status: 502 });
  };
  await sleep(ms);
  globalThis.fetch = fetch;
  assert(answers > 0, "it was asked");
}

/** The registry is killed, and what happens before the watcher is back is told. */
export async function survives(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const ending = new AbortController();
  const { told, over, says } = follow(client, { tag: "seen" }, { signal: ending.signal });
  await says("snapshot");
  await client.register(server("before"));
  await says("snapshot", "registered before");
  const expected = ["snapshot", "registered before"];
  let slowest = 0;
  for (const id of ["one", "two", "three"]) {
    await registry.kill();
    if (id === "two") await aProxyAnswers(500);
    await registry.start();
    const began = performance.now();
    await client.register(server(id));
    expected.push(`registered ${id}`);
    await says(...expected);
    slowest = Math.max(slowest, performance.now() - began);
  }
  const numbers = told.map(({ revision }) => Number(revision.split("-")[1]));
  assert.deepEqual(
    numbers,
    [...numbers].sort((one, other) => one - other),
  );
  ending.abort();
  await over;
  for (const id of ["before", "one", "two", "three"]) await client.deregister(id);
  return `three kills, no gap, no repeat; told within ${Math.round(slowest)} ms of the registry's return`;
}

/** Streams that are let go leave no connection behind. */
export async function letsGo(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const watchers = async () =>
    Number((await (await fetch(`${registry.url}/metrics`)).text()).match(/^paulina_watchers (\d+)/m)[1]);
  for (let round = 0; round < 20; round += 1) {
    for await (const event of client.watch()) if (event.kind === "snapshot") break;
  }
  const endings = Array.from({ length: 20 }, () => new AbortController());
  const all = endings.map(({ signal }) => follow(client, {}, { signal }));
  await until(async () => (await watchers()) === 20, 5, "they watch");
  endings.forEach((ending) => ending.abort());
  await Promise.all(all.map(({ over }) => over));
  await until(async () => (await watchers()) === 0, 5, "nobody watches");
  await sleep(0);
}

/** Events are whole wherever their text is cut. */
export async function cutAnywhere() {
  const { Events } = await import(path.join(CONSUMER, "node_modules/paulina-client/dist/events.js"));
  const text =
    ': alive\n\nid: e-1\nevent: snapshot\ndata: {"a":"ä"}\n\nevent:updated\r\ndata:x\r\ndata: y\r\n\r\nevent: none\n\n';
  for (let size = 1; size <= text.length; size += 1) {
    const events = new Events();
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
      text.slice(index * size, (index + 1) * size),
    );
    const found = pieces.flatMap((piece) => events.feed(piece));
    assert.deepEqual(
      found,
      [
        { kind: "snapshot", data: '{"a":"ä"}' },
        { kind: "updated", data: "x\ny" },
      ],
      `in pieces of ${size}`,
    );
  }
}
