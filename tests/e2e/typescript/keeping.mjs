// Registrations that are kept alive, whatever becomes of the registry.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { BINARY, CONSUMER, Registry, TEMPORARY, freePort, run, sleep, start, timed, until } from "./support.mjs";

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

/** A heartbeat, and all the states that it was in. */
function keep(client, registration, options = {}) {
  const states = [];
  const heartbeat = client.keepAlive(registration, { ...options, onBeat: ({ state }) => states.push(state) });
  return { heartbeat, states, is: (state) => () => heartbeat.beat.state === state };
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
  assert.equal((await heartbeat.registered()).lease, lease, "it was registered once, and refreshed since");
  assert(states.length >= 5 && states.every((state) => state === "alive"), String(states));
  heartbeat.replace(server("kept", { version: "2", capabilities: { tools: ["keep", "more"] } }));
  const replaced = await timed(until(async () => (await client.get("kept")).version === "2", 2, "it is replaced"));
  const stopped = await timed(heartbeat.stop());
  assert.equal(await client.get("kept"), undefined);
  assert.equal(heartbeat.beat.state, "stopped");
  const kept = `over ${2.5 * TTL} s a lease of ${TTL} s never fell below ${least} ms`;
  return `${kept}; replaced in ${replaced} ms, stopped in ${stopped} ms`;
}

export async function outlivesTheRegistry(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const { heartbeat, states, is } = keep(client, server("survivor"));
  const { lease } = await heartbeat.registered();
  await registry.kill();
  await until(is("failing"), TTL, "it is noticed that the registry is gone");
  await sleep(2 * TTL * 1000);
  assert.equal(heartbeat.beat.error.name, "Unreachable");
  await registry.start();
  const back = await timed(until(is("alive"), TTL, "it goes on"));
  assert.equal((await heartbeat.registered()).lease, lease, "the registry knew it still");
  assert.deepEqual([...new Set(states)], ["alive", "failing"]);

  await fetch(`${registry.url}/v1/servers/survivor`, { method: "DELETE" });
  const again = await timed(until(registry.has("survivor"), TTL, "what the registry has lost is registered again"));
  await heartbeat.stop();
  return `alive ${back} ms after the registry was back; registered again ${again} ms after it was lost`;
}

export async function letsGo(registry, { Client, LeaseReplaced }) {
  const client = new Client({ addresses: registry.url });
  const older = keep(client, server("contested"));
  await older.heartbeat.registered();
  const newer = keep(client, server("contested", { version: "2" }));
  await newer.heartbeat.registered();
  await until(older.is("replaced"), TTL, "the older one sees that the id is another's now");
  await assert.rejects(older.heartbeat.registered(), (error) => error instanceof LeaseReplaced);
  await older.heartbeat.stop();
  assert.equal((await client.get("contested")).version, "2", "it left the newer one alone");
  await client.register(server("contested", { version: "3" }));
  newer.heartbeat.replace(server("contested", { name: "a:b" }));
  await until(newer.is("replaced"), TTL, "what is refused for good was not done: the lease is another's");
  await newer.heartbeat.stop();
  await client.deregister("contested");

  let isAlive = true;
  const asked = keep(client, server("asked"), { isAlive: async () => isAlive || Promise.reject(new Error("hangs")) });
  await asked.heartbeat.registered();
  isAlive = false;
  // Leases stand still for five seconds after a start.
  await until(registry.lacks("asked"), TTL + 10, "what is not alive is let go");
  isAlive = true;
  await until(registry.has("asked"), 2 * TTL, "what is alive again comes back");
  await asked.heartbeat.stop();

  for (const what of [{ name: "a:b" }, { ttl: -1 }, { ttl: 1e9 }]) {
    const wrong = keep(client, server("wrong", what));
    await assert.rejects(wrong.heartbeat.registered(), (error) => error.code === "invalid_registration");
    await sleep(200);
    assert.deepEqual(wrong.states, ["failing"], "it does not insist");
    await wrong.heartbeat.stop();
  }
}

/** A registry goes on with a backup in the place of what it had. */
async function restore(registry, backup) {
  for (const file of fs.readdirSync(TEMPORARY))
    if (file.startsWith(path.basename(registry.database))) fs.rmSync(path.join(TEMPORARY, file));
  fs.copyFileSync(backup, registry.database);
  await registry.start();
}

/** An id that another process took is left alone while somebody holds it, and taken up again when nobody does. */
export async function takesUpAgain(registry, { Client }) {
  const client = new Client({ addresses: registry.url });
  const holders = [];
  for (const version of ["1", "2", "3", "4", "5"]) {
    holders.push(keep(client, server("handed-on", { version })));
    await holders.at(-1).heartbeat.registered();
  }
  const last = holders.pop();
  for (const { is } of holders) await until(is("replaced"), TTL, "each but the last lets go");
  const goesOn = async (what) => {
    await sleep(1.5 * TTL * 1000);
    assert.deepEqual(new Set(holders.map(({ states }) => states.at(-1))), new Set(["replaced"]), what);
  };
  await goesOn("while somebody holds it");
  registry.process.kill("SIGSTOP");
  await goesOn("while nothing is known");
  registry.process.kill("SIGCONT");
  await until(last.is("alive"), 2 * TTL, "the last one goes on");
  await holders.shift().heartbeat.stop();
  assert.equal((await client.get("handed-on")).version, "5", "who has let go takes nothing out");

  await last.heartbeat.stop();
  const alive = () => holders.filter(({ is }) => is("alive")());
  const taken = await timed(until(() => alive().length > 0, 1.5 * TTL, "it is taken up again"));
  await sleep(1.5 * TTL * 1000);
  assert.equal(alive().length, 1, "by one of them");
  await Promise.all(holders.map(({ heartbeat }) => heartbeat.stop()));
  assert.equal(await client.get("handed-on"), undefined);

  // Somebody else registers it just when it was seen to be free.
  let between = async () => undefined;
  const slow = keep(client, server("handed-on"), { isAlive: async () => (await between(), true) });
  await slow.heartbeat.registered();
  const quick = await client.register(server("handed-on", { version: "quick" }));
  await until(slow.is("replaced"), TTL, "it lets go");
  await client.deregister(quick);
  const seen = new Promise((resolve) => {
    between = async () => {
      between = async () => undefined;
      resolve(await client.register(server("handed-on", { version: "quicker", ttl: 600 })));
    };
  });
  const quicker = await seen;
  await sleep(500);
  assert.equal(slow.heartbeat.beat.state, "replaced");
  await client.refresh(quicker);
  await slow.heartbeat.stop();
  await client.deregister(quicker);
  return `taken up again ${taken} ms after it was free, with a ttl of ${TTL} s`;
}

/** A backup from the time of an earlier process of the same id: nobody refreshes the lease that it holds. */
export async function outlivesItsPredecessor({ Client, LeaseReplaced }) {
  const registry = await Registry.make("older");
  const client = new Client({ addresses: registry.url });
  await client.register(server("stable", { version: "1" }));
  const backup = path.join(TEMPORARY, "older-backup.db");
  run(BINARY, ["backup", "--database", registry.database, backup]);
  const { heartbeat, states, is } = keep(client, server("stable", { version: "2" }));
  await heartbeat.registered();
  await registry.kill();
  await restore(registry, backup);
  await until(is("replaced"), 2 * TTL, "the lease is its predecessor's");
  await assert.rejects(heartbeat.registered(), (error) => error instanceof LeaseReplaced);
  // Leases stand still for five seconds after a start.
  const again = await timed(until(is("alive"), 5 + 3 * TTL, "it is registered again when that has run out"));
  assert.equal((await registry.record("stable")).version, "2");
  assert.equal(states.filter((state) => state === "replaced").length, 1, String(states));
  await heartbeat.stop();
  assert.equal(await registry.record("stable"), undefined);
  await registry.kill();
  return `alive ${again} ms after the registry was an older one`;
}

/** A backup from before a change: the lease that it holds is an earlier one of the same server. */
export async function knowsItself({ Client }) {
  const registry = await Registry.make("restored");
  const client = new Client({ addresses: registry.url });
  const { heartbeat, states, is } = keep(client, server("restored"));
  const { lease } = await heartbeat.registered();
  const backup = path.join(TEMPORARY, "backup.db");
  run(BINARY, ["backup", "--database", registry.database, backup]);
  heartbeat.replace(server("restored", { version: "2" }));
  await until(async () => (await registry.record("restored")).version === "2", 2, "the change is registered");
  await registry.kill();
  await until(is("failing"), TTL, "the registry is gone");
  await restore(registry, backup);
  assert.equal((await registry.record("restored")).version, null);
  await until(
    async () => (await registry.record("restored"))?.version === "2",
    2 * TTL,
    "it is registered again over its own earlier lease",
  );
  assert(!states.includes("replaced"));
  assert.notEqual((await heartbeat.registered()).lease, lease);
  await heartbeat.stop();
  await registry.kill();
}

/** Programs of their own: a heartbeat holds none up, and one that waits for it is not ended. */
export async function keepsNoProcess(registry) {
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
  const alone = program("await heartbeat.registered();")(env);
  const took = await timed(alone.ended);
  assert.equal(await alone.ended, 0, alone.err);
  assert.deepEqual(await registry.ids("name=kept"), ["program"]);
  await until(registry.lacks("program"), TTL + 5, "its lease runs out");

  const body = "console.log((await heartbeat.registered()).id); await heartbeat[Symbol.asyncDispose]();";
  const scoped = program(body)(env);
  assert.equal(await scoped.ended, 0, scoped.err);
  assert.deepEqual([scoped.out, await registry.ids("name=kept")], ["program\n", []]);

  const nowhere = { PAULINA_URL: `http://127.0.0.1:${await freePort()}` };
  const nobody = program("")(nowhere);
  assert.equal(await nobody.ended, 0, nobody.err);
  const waiting = program("await heartbeat.registered();")(nowhere);
  await sleep(1500);
  assert.equal(waiting.exitCode, null, "who waits for it is there");
  waiting.kill("SIGKILL");
  return `a program with a heartbeat ends by itself after ${took} ms`;
}
