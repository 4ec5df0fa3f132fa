// The TypeScript client as its users install it: the packed package, the release binary, and servers of the official SDK.
//
//   node typescript_client/main.mjs
//
// PAULINA_BINARY is the binary (target/release/paulina). The packages come from target/e2e/node_modules, Litestream from
// target/e2e/venv-sdk.

import fs from "node:fs";
import * as announced from "./announced_servers.mjs";
import * as failover from "./failover.mjs";
import * as heartbeat from "./heartbeat.mjs";
import { Registry, TEMPORARY, check, killAll } from "./helpers.mjs";
import * as published from "./package.mjs";
import * as queries from "./queries.mjs";
import * as watch from "./watch.mjs";

async function main() {
  const client = await published.install();
  await check("types of the README examples and of a program that uses the whole API", published.types);
  const registry = await Registry.make("real", "--retention", "2s");
  await check("the server and the client of the README", published.readme, registry);
  await check("find, with every filter", queries.everyFilter, registry, client);
  await check("pick", queries.picks, registry, client);
  await check("limits", queries.limits, registry, client);
  await check("errors", queries.errors, registry, client);
  await check("a heartbeat", heartbeat.staysAlive, registry, client);
  await check("the registry is killed, and loses the registration", heartbeat.survivesDowntime, registry, client);
  await check(
    "another process takes the id; the server reports that it is not alive",
    heartbeat.replaced,
    registry,
    client,
  );
  await check("another process has taken and released the id", heartbeat.registersReleasedId, registry, client);
  await check("the registry is restored from a backup", heartbeat.restoredBackup, client);
  await check("the backup is older than this process", heartbeat.restoredBackupOfPredecessor, client);
  await check("a heartbeat does not keep a process alive", heartbeat.doesNotKeepProcessAlive, registry);
  await check("the first address is unreachable", failover.firstIsUnreachable, registry, client);
  await check("lost responses", failover.lostResponses, registry, client);
  await check("the response to a replacement is lost", failover.lostReplacement, registry, client);
  await check("a standby", failover.standby, client);
  await check("a Unix socket", failover.unixSocket, client);
  await check("test vectors", published.vectors);
  await check("watch", watch.everyChange, registry, client);
  await check("watch through three kills", watch.survivesKills, registry, client);
  await check("watch closes its connections", watch.closesConnections, registry, client);
  for (const generation of ["1", "2"])
    await check(`announced, generation ${generation}`, announced.registration, registry, generation);
  await check("paulina inspect of an announced server", announced.inspect, registry);
  await check("paulina announce of an announced server", announced.announcedFromOutside, registry);
  await check("every kind of exit", announced.everyExit, registry);
  await check("an exit before the response to the registration", announced.exitsBeforeTheResponse, registry);
  await check("announced without a registry", announced.withoutARegistry);
  await check("announced while the registry hangs", announced.unresponsiveRegistry, registry);
  await check("tokens", queries.tokens, registry, client);
  await registry.kill();
  console.log("typescript_client: passed");
}

try {
  await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  killAll();
  fs.rmSync(TEMPORARY, { recursive: true, force: true });
}
