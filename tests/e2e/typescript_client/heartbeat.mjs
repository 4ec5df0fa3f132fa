// Heartbeats: registrations that are kept alive through failures of the registry.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { BINARY, CONSUMER, Registry, TEMPORARY, freePort, run, sleep, start, timed, until } from "./helpers.mjs";

const TTL = 2;
const server = (id, more = {}) => ({
  id,
  name: "kept",
  transport: "stdio",
  command: ["kept"],
  capabilities: { tools: ["keep"] },
  ttl: TTL,
  ...more,
});

/** Starts a heartbeat, and records its states. */
function keep(client, registration, options = {}) {
  const states = [];
  const heartbeat = client.keepAlive(registration, { ...options, onStatus: ({ state }) => states.push(state) });
  return { heartbeat, states, is: (state) => () => heartbeat.status.state === state };
}

export async function staysAlive(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const { heartbeat, states } = keep(client, server("kept"));
  const { lease } = await heartbeat.registered();
  const end = Date.now() + 2.5 * TTL * 1000;
  let least = Infinity;
  while (Date.now() < end) {
    const { health, expires_in_ms } = await client.health("kept");
    assert.equal(health, "healthy");
    least = Math.min(least, expires_in_ms);
    await sleep(20);
  }
  assert.equal((await heartbeat.registered()).lease, lease, "it must be registered only once");
  assert(states.length >= 5 && states.every((state) => state === "alive"), String(states));
  heartbeat.replace(server("kept", { version: "2", capabilities: { tools: ["keep", "more"] } }));
  const replaced = await timed(
    until(async () => (await client.get("kept")).version === "2", 2, "the registration is replaced"),
  );
  const stopped = await timed(heartbeat.stop());
  assert.equal(await client.get("kept"), undefined);
  assert.equal(heartbeat.status.state, "stopped");
  const kept = `over ${2.5 * TTL} s a lease of ${TTL} s never fell below ${least} ms`;
  return `${kept}; replaced in ${replaced} ms, stopped in ${stopped} ms`;
}

export async function survivesDowntime(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const { heartbeat, states, is } = keep(client, server("survivor"));
  const { lease } = await heartbeat.registered();
  await registry.kill();
  await until(is("failing"), TTL, "the heartbeat notices that the registry is down");
  await sleep(2 * TTL * 1000);
  assert.equal(heartbeat.status.error.name, "Unreachable");
  await registry.start();
  const back = await timed(until(is("alive"), TTL, "the heartbeat recovers"));
  assert.equal((await heartbeat.registered()).lease, lease, "the registry must still have the lease");
  assert.deepEqual([...new Set(states)], ["alive", "failing"]);

  await fetch(`${registry.url}/v1/servers/survivor`, { method: "DELETE" });
  const again = await timed(until(registry.has("survivor"), TTL, "a lost registration is registered again"));
  await heartbeat.stop();
  return `alive ${back} ms after the start of the registry; registered again ${again} ms after the loss`;
}

export async function replaced(registry, { Client, LeaseReplaced }) {
  const client = new Client({ addresses: registry.url });
  const older = keep(client, server("contested"));
  await older.heartbeat.registered();
  const newer = keep(client, server("contested", { version: "2" }));
  await newer.heartbeat.registered();
  await until(older.is("replaced"), TTL, "the older heartbeat is replaced");
  await assert.rejects(older.heartbeat.registered(), (error) => error instanceof LeaseReplaced);
  await older.heartbeat.stop();
  assert.equal((await client.get("contested")).version, "2", "the newer registration must remain");
  await client.register(server("contested", { version: "3" }));
  newer.heartbeat.replace(server("contested", { name: "a:b" }));
  await until(newer.is("replaced"), TTL, "a permanent refusal executes nothing: the lease belongs to another client");
  await newer.heartbeat.stop();
  await client.deregister("contested");

  let isAlive = true;
  const checked = keep(client, server("asked"), { isAlive: async () => isAlive || Promise.reject(new Error("hangs")) });
  await checked.heartbeat.registered();
  isAlive = false;
  // Leases do not run for five seconds after a start.
  await until(registry.lacks("asked"), TTL + 10, "the lease of a server that is not alive expires");
  isAlive = true;
  await until(registry.has("asked"), 2 * TTL, "a server that is alive again is registered");
  await checked.heartbeat.stop();

  for (const what of [{ name: "a:b" }, { ttl: -1 }, { ttl: 1e9 }]) {
    const wrong = keep(client, server("wrong", what));
    await assert.rejects(wrong.heartbeat.registered(), (error) => error.code === "invalid_registration");
    await sleep(200);
    assert.deepEqual(wrong.states, ["failing"], "an invalid registration must not be repeated");
    await wrong.heartbeat.stop();
  }
}

/** Replaces the database by a backup, and starts the registry. */
async function restore(registry, backup) {
  for (const file of fs.readdirSync(TEMPORARY))
    if (file.startsWith(path.basename(registry.database))) fs.rmSync(path.join(TEMPORARY, file));
  fs.copyFileSync(backup, registry.database);
  await registry.start();
}

/** While another process holds the id, the heartbeat pauses. When the id is released, it registers again. */
export async function registersReleasedId(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const holders = [];
  for (const version of ["1", "2", "3", "4", "5"]) {
    holders.push(keep(client, server("handed-on", { version })));
    await holders.at(-1).heartbeat.registered();
  }
  const last = holders.pop();
  for (const { is } of holders) await until(is("replaced"), TTL, "each heartbeat except the last is replaced");
  const allStayReplaced = async (what) => {
    await sleep(1.5 * TTL * 1000);
    assert.deepEqual(new Set(holders.map(({ states }) => states.at(-1))), new Set(["replaced"]), what);
  };
  await allStayReplaced("while another process holds the id");
  registry.process.kill("SIGSTOP");
  await allStayReplaced("while the registry does not respond");
  registry.process.kill("SIGCONT");
  await until(last.is("alive"), 2 * TTL, "the last heartbeat recovers");
  await holders.shift().heartbeat.stop();
  assert.equal((await client.get("handed-on")).version, "5", "a replaced heartbeat must not deregister");

  await last.heartbeat.stop();
  const alive = () => holders.filter(({ is }) => is("alive")());
  const taken = await timed(until(() => alive().length > 0, 1.5 * TTL, "the id is registered again"));
  await sleep(1.5 * TTL * 1000);
  assert.equal(alive().length, 1, "exactly one must register it");
  await Promise.all(holders.map(({ heartbeat }) => heartbeat.stop()));
  assert.equal(await client.get("handed-on"), undefined);

  // Another process registers the id after the heartbeat has seen that it is free, and before it registers.
  const { fetch } = globalThis;
  let beforeRegistration = async () => undefined;
  globalThis.fetch = async (url, init) => {
    if (init?.headers?.["if-none-match"]) await beforeRegistration();
    return fetch(url, init);
  };
  const slow = keep(client, server("handed-on"));
  await slow.heartbeat.registered();
  const quick = await client.register(server("handed-on", { version: "quick" }));
  await until(slow.is("replaced"), TTL, "the heartbeat is replaced");
  await client.deregister(quick);
  const seen = new Promise((resolve) => {
    beforeRegistration = async () => {
      beforeRegistration = async () => undefined;
      resolve(await client.register(server("handed-on", { version: "quicker", ttl: 600 })));
    };
  });
  const quicker = await seen;
  globalThis.fetch = fetch;
  await sleep(500);
  assert.equal(slow.heartbeat.status.state, "replaced");
  await client.refresh(quicker);
  await slow.heartbeat.stop();
  await client.deregister(quicker);
  return `registered again ${taken} ms after the release, with a ttl of ${TTL} s`;
}

/** A backup with the lease of an earlier process with the same id, which no process refreshes. */
export async function restoredBackupOfPredecessor({ Client, LeaseReplaced }) {
  const registry = await Registry.make("older");
  const client = new Client({ addresses: registry.url });
  await client.register(server("stable", { version: "1" }));
  const backup = path.join(TEMPORARY, "older-backup.db");
  run(BINARY, ["backup", "--database", registry.database, backup]);
  const { heartbeat, states, is } = keep(client, server("stable", { version: "2" }));
  await heartbeat.registered();
  await registry.kill();
  await restore(registry, backup);
  await until(is("replaced"), 2 * TTL, "the lease belongs to the predecessor");
  await assert.rejects(heartbeat.registered(), (error) => error instanceof LeaseReplaced);
  // Leases do not run for five seconds after a start.
  const again = await timed(until(is("alive"), 5 + 3 * TTL, "it is registered again when that lease has expired"));
  assert.equal((await registry.record("stable")).version, "2");
  assert.equal(states.filter((state) => state === "replaced").length, 1, String(states));
  await heartbeat.stop();
  assert.equal(await registry.record("stable"), undefined);
  await registry.kill();
  return `alive ${again} ms after the restore`;
}

/** A backup with an earlier lease of the same server. */
export async function restoredBackup({ Client }) {
  const registry = await Registry.make("restored");
  const client = new Client({ addresses: registry.url });
  const { heartbeat, states, is } = keep(client, server("restored"));
  const { lease } = await heartbeat.registered();
  const backup = path.join(TEMPORARY, "backup.db");
  run(BINARY, ["backup", "--database", registry.database, backup]);
  heartbeat.replace(server("restored", { version: "2" }));
  await until(async () => (await registry.record("restored")).version === "2", 2, "the change is registered");
  await registry.kill();
  await until(is("failing"), TTL, "the registry is down");
  await restore(registry, backup);
  assert.equal((await registry.record("restored")).version, null);
  await until(
    async () => (await registry.record("restored"))?.version === "2",
    2 * TTL,
    "it is registered again and replaces its own earlier lease",
  );
  assert(!states.includes("replaced"));
  assert.notEqual((await heartbeat.registered()).lease, lease);
  await heartbeat.stop();
  await registry.kill();
}

/** A heartbeat does not keep its process alive, except while the program waits for it. */
export async function doesNotKeepProcessAlive(registry) {
  const program = (body) => {
    const lines = [
      'import { Client } from "paulina-client";',
      `const heartbeat = new Client().keepAlive(${JSON.stringify(server("program"))});`,
      body,
    ];
    fs.writeFileSync(path.join(CONSUMER, "program.js"), lines.join("\n"));
    return (env) => start("node", ["program.js"], { cwd: CONSUMER, env });
  };
  const env = { PAULINA_URL: registry.url };
  const unattended = program("await heartbeat.registered();")(env);
  const took = await timed(unattended.ended);
  assert.equal(await unattended.ended, 0, unattended.err);
  assert.deepEqual(await registry.ids("name=kept"), ["program"]);
  await until(registry.lacks("program"), TTL + 5, "its lease expires");

  const body = "console.log((await heartbeat.registered()).id); await heartbeat[Symbol.asyncDispose]();";
  const scoped = program(body)(env);
  assert.equal(await scoped.ended, 0, scoped.err);
  assert.deepEqual([scoped.out, await registry.ids("name=kept")], ["program\n", []]);

  const unreachable = { PAULINA_URL: `http://127.0.0.1:${await freePort()}` };
  const notWaiting = program("")(unreachable);
  assert.equal(await notWaiting.ended, 0, notWaiting.err);
  const waiting = program("await heartbeat.registered();")(unreachable);
  await sleep(1500);
  assert.equal(waiting.exitCode, null, "a program that waits for it must keep running");
  waiting.kill("SIGKILL");
  return `a program with a heartbeat exits by itself after ${took} ms`;
}
