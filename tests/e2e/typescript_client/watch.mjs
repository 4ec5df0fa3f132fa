// Watching: every change, once and in order, through kills of the registry.

import assert from "node:assert/strict";
import { sleep, until } from "./helpers.mjs";

const server = (id, more = {}) => ({
  id,
  name: "watched",
  transport: "stdio",
  command: ["watched"],
  tags: ["seen"],
  ttl: 600,
  ...more,
});

/** Watches in the background, and collects the events in `events`. */
function follow(client, filters, options) {
  const events = [];
  const over = (async () => {
    for await (const event of client.watch(filters, options)) events.push(event);
  })();
  const kinds = () => events.map(({ kind, server: one }) => (one ? `${kind} ${one.id}` : kind));
  const receives = (...expected) =>
    until(() => kinds().length >= expected.length, 5, `${expected}; so far ${kinds()}`).then(() =>
      assert.deepEqual(kinds(), expected),
    );
  return { events, over, receives };
}

export async function everyChange(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  await client.register(server("first"));
  const ending = new AbortController();
  const { events, over, receives } = follow(client, { tag: "seen" }, { signal: ending.signal });
  await receives("snapshot");
  assert.deepEqual(
    events[0].servers.map(({ id }) => id),
    ["first"],
  );
  await client.register(server("second", { ttl: 1 }));
  await client.register(server("other", { tags: ["unseen"] }));
  await client.register(server("first", { version: "2" }));
  await client.refresh("first");
  await client.deregister("first");
  await receives("snapshot", "registered second", "updated first", "deregistered first", "expired second");
  assert.equal(events[2].server.version, "2");

  const resumed = client.watch({ tag: "seen" }, { since: events[1].revision });
  assert.equal((await resumed.next()).value.revision, events[2].revision, "it must continue after the last seen event");
  await resumed.return();
  ending.abort();
  await over;
  for await (const event of client.watch({}, { signal: ending.signal })) assert.fail(event.kind);
  await client.deregister("other");
}

/** Simulates the responses of a proxy whose registry is down. */
async function badGateway(ms) {
  const { fetch } = globalThis;
  let answers = 0;
  globalThis.fetch = async () => {
    answers += 1;
    return new Response("Bad Gateway", { status: 502 });
  };
  await sleep(ms);
  globalThis.fetch = fetch;
  assert(answers > 0, "the client made no request");
}

/** The registry is killed. The watcher must receive the changes that happen before it reconnects. */
export async function survivesKills(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const ending = new AbortController();
  const { events, over, receives } = follow(client, { tag: "seen" }, { signal: ending.signal });
  await receives("snapshot");
  await client.register(server("before"));
  await receives("snapshot", "registered before");
  const expected = ["snapshot", "registered before"];
  let slowest = 0;
  for (const id of ["one", "two", "three"]) {
    await registry.kill();
    if (id === "two") await badGateway(500);
    await registry.start();
    const began = performance.now();
    await client.register(server(id));
    expected.push(`registered ${id}`);
    await receives(...expected);
    slowest = Math.max(slowest, performance.now() - began);
  }
  const numbers = events.map(({ revision }) => Number(revision.split("-")[1]));
  assert.deepEqual(
    numbers,
    [...numbers].sort((one, other) => one - other),
  );
  ending.abort();
  await over;
  for (const id of ["before", "one", "two", "three"]) await client.deregister(id);
  return `three kills, no gap, no duplicate; events within ${Math.round(slowest)} ms after the start of the registry`;
}

/** Closed streams leave no connection open. */
export async function closesConnections(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const watchers = async () =>
    Number((await (await fetch(`${registry.url}/metrics`)).text()).match(/^paulina_watchers (\d+)/m)[1]);
  for (let round = 0; round < 20; round += 1) {
    for await (const event of client.watch()) if (event.kind === "snapshot") break;
  }
  const endings = Array.from({ length: 20 }, () => new AbortController());
  const all = endings.map(({ signal }) => follow(client, {}, { signal }));
  await until(async () => (await watchers()) === 20, 5, "20 watchers are connected");
  endings.forEach((ending) => ending.abort());
  await Promise.all(all.map(({ over }) => over));
  await until(async () => (await watchers()) === 0, 5, "no watcher is connected");
  await sleep(0);
}
