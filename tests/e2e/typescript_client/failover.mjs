// Several addresses: one is unreachable, one loses responses, one is a standby.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import {
  BINARY,
  CONSUMER,
  Registry,
  TEMPORARY,
  WORK,
  freePort,
  startProxy,
  sleep,
  start,
  timed,
  until,
} from "./helpers.mjs";

const LITESTREAM = path.join(WORK, "venv-sdk/bin/litestream");
const server = (id) => ({ id, name: "failover", transport: "stdio", command: ["failover"], ttl: 2 });

export async function firstIsUnreachable(registry, { Client }) {
  const unreachable = `http://127.0.0.1:${await freePort()}`;
  const client = new Client({ addresses: [unreachable, registry.url] });
  const took = await timed(client.stats());
  await client.register(server("plain"));
  const fresh = () => new Client({ addresses: [unreachable, registry.url] });
  assert.equal(
    (await fresh().register(server("new"), { newOnly: true })).created,
    true,
    "an unsent request must go to the next address",
  );
  const heartbeat = fresh().keepAlive(server("beating"));
  await heartbeat.registered();
  const watching = fresh().watch({ name: "failover" });
  assert.equal((await watching.next()).value.kind, "snapshot");
  await watching.return();
  await heartbeat.stop();
  for (const id of ["plain", "new"]) await client.deregister(id);
  return `${took} ms with the unreachable address first`;
}

export async function lostResponses(registry, { Client, Unreachable }) {
  const proxy = await startProxy(registry, () => "lost");
  const through = `http://127.0.0.1:${proxy.address().port}`;
  const fresh = () => new Client({ addresses: [through, registry.url] });
  await assert.rejects(fresh().register(server("once"), { newOnly: true }), (error) => error instanceof Unreachable);
  assert.equal(proxy.requests, 1, "a request that must not run twice must be sent once");
  assert.deepEqual(await registry.ids("name=failover"), ["once"], "the request must have been executed");

  assert.equal(
    (await fresh().register(server("twice"))).created,
    false,
    "the second attempt must find the first one executed",
  );
  assert.equal(proxy.requests, 3);
  await fresh().deregister("twice");
  await fresh().deregister("once");
  assert.deepEqual(await registry.ids("name=failover"), []);
  proxy.close();
}

/** A registration with a lost response counts as its own, not as that of another process. */
export async function lostReplacement(registry, { Client }) {
  let isLost = false;
  const proxy = await startProxy(registry, (method) => (isLost && method === "POST" ? "lost" : "sent"));
  const client = new Client({ addresses: `http://127.0.0.1:${proxy.address().port}` });
  const states = [];
  const onStatus = ({ state }) => states.push(state);
  const heartbeat = client.keepAlive({ ...server("changing"), version: "1" }, { onStatus });
  const { lease } = await heartbeat.registered();
  isLost = true;
  heartbeat.replace({ ...server("changing"), version: "2" });
  await until(() => states.at(-1) === "failing", 3, "no response is received");
  const before = proxy.requests;
  assert.equal((await registry.record("changing")).version, "2", "the request must have been executed");
  await until(() => proxy.requests > before, 3, "the request is repeated");
  isLost = false;
  const back = await timed(until(() => states.at(-1) === "alive", 3, "the heartbeat recovers"));
  assert.notEqual((await heartbeat.registered()).lease, lease);
  await until(() => states.filter((state) => state === "alive").length > 3, 5, "the lease is refreshed");
  assert(!states.includes("replaced"), String(states));
  await heartbeat.stop();
  assert.equal(await registry.record("changing"), undefined);
  proxy.close();
  return `alive ${back} ms after responses were received again`;
}

/** Checks which address is used first after a short downtime of the primary. */
async function returnsToThePrimary(primary, second, { Client }) {
  const { fetch } = globalThis;
  const { now } = performance;
  const requested = [];
  let passing = 0;
  const later = (ms) => (performance.now = () => now.call(performance) + ms);
  globalThis.fetch = async (url, init) => {
    requested.push(new URL(url).origin);
    const answer = await fetch(url, init);
    if (passing) later(passing);
    return answer;
  };
  const reads = async (client, ...expected) => {
    requested.length = 0;
    await client.stats();
    assert.deepEqual(requested, expected);
  };
  try {
    const client = new Client({ addresses: [primary.url, second.url], timeoutMs: 500 });
    await reads(client, primary.url);
    primary.process.kill("SIGSTOP");
    await reads(client, primary.url, second.url);
    await reads(client, second.url);
    later(29_000);
    await reads(client, second.url);
    later(31_000);
    await reads(client, primary.url, second.url);
    await reads(client, second.url);
    primary.process.kill("SIGCONT");
    await reads(client, second.url);
    // The time passes between a request and its response.
    passing = 62_000;
    await reads(client, second.url);
    passing = 0;
    await reads(client, primary.url);

    // The given order counts until one address has proved to be the primary.
    const other = new Client({ addresses: [second.url, primary.url] });
    await reads(other, second.url);
    await other.register(server("shown"));
    await other.deregister("shown");
    await reads(other, primary.url);
  } finally {
    primary.process.kill("SIGCONT");
    globalThis.fetch = fetch;
    performance.now = now;
  }
}

export async function standby(all) {
  const { Client, ApiError } = all;
  const replica = `file://${path.join(TEMPORARY, "replica")}`;
  const primary = await Registry.make("primary");
  const args = ["replicate", "--database", primary.database, "--to", replica, "--litestream-bin", LITESTREAM];
  const sidecar = start(BINARY, args, { detached: true });
  try {
    await new Client({ addresses: primary.url }).register({ ...server("there"), ttl: 600 });
    const second = await Registry.make(
      "standby",
      "--standby",
      "--peer",
      primary.url,
      "--restore-from",
      replica,
      "--restore-interval",
      "1s",
      "--litestream-bin",
      LITESTREAM,
    );
    const addresses = [second.url, primary.url];
    await until(second.has("there"), 10, "the standby has a copy");
    const client = new Client({ addresses });
    assert.deepEqual(
      (await client.findPage()).servers.map(({ id }) => id),
      ["there"],
      "the standby must serve reads",
    );
    await returnsToThePrimary(primary, second, all);
    const { created } = await new Client({ addresses }).register(server("new"), { newOnly: true });
    assert(created, "a standby executes nothing: the next address must be used");
    const heartbeat = new Client({ addresses }).keepAlive(server("beating"));
    await heartbeat.registered();

    await primary.kill();
    process.kill(-sidecar.pid, "SIGKILL");
    const refused = await client.register(server("late")).catch((error) => error);
    assert(refused instanceof ApiError && refused.temporary, String(refused));
    assert.deepEqual([refused.code, refused.status, refused.primary], ["standby", 503, primary.url]);
    await until(() => heartbeat.status.state === "failing", 3, "no address accepts the heartbeat");
    second.paulina("promote");
    const back = await timed(until(() => heartbeat.status.state === "alive", 5, "the promoted standby accepts it"));
    await until(second.has("beating"), 3, "the server is registered");
    await heartbeat.stop();
    await second.kill();
    return `a heartbeat recovers ${back} ms after the standby was promoted`;
  } finally {
    if (sidecar.exitCode === null && sidecar.signalCode === null) process.kill(-sidecar.pid, "SIGKILL");
  }
}

export async function unixSocket({ Client }) {
  const registry = new Registry("socket", 0, []);
  const socket = path.join(TEMPORARY, "paulina.sock");
  registry.listen = `unix:${socket}`;
  registry.process = start(BINARY, ["serve", "--listen", registry.listen, "--database", registry.database]);
  await until(() => fs.existsSync(socket), 10, "the registry listens");
  const client = new Client({ addresses: registry.listen });
  const heartbeat = client.keepAlive(server("local"));
  await heartbeat.registered();
  const watching = client.watch({ healthy: "any" });
  assert.equal((await watching.next()).value.servers[0].id, "local");
  await sleep(2500);
  assert.equal((await client.health("local")).health, "healthy");
  await heartbeat.stop();
  assert.equal((await watching.next()).value.kind, "deregistered");

  const env = { PAULINA_URL: registry.listen };
  const announced = start("node", ["announced_server.js", "1", "exit"], { cwd: CONSUMER, env });
  assert.equal((await watching.next()).value.kind, "registered");
  assert.equal(await announced.ended, 5, announced.err);
  assert.equal((await watching.next()).value.kind, "deregistered");
  await watching.return();
  await registry.kill();
}
