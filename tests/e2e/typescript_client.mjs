// The TypeScript client as its users have it: the packed package, the release binary, and servers of the official SDK.
//
//   node typescript_client.mjs
//
// PAULINA_BINARY is the binary (target/release/paulina). The packages come from target/e2e/node_modules, Litestream from
// target/e2e/venv-sdk.

import fs from "node:fs";
import * as announcing from "./typescript/announcing.mjs";
import * as failover from "./typescript/failover.mjs";
import * as find from "./typescript/find.mjs";
import * as keeping from "./typescript/keeping.mjs";
import * as published from "./typescript/package.mjs";
import { Registry, TEMPORARY, check, killAll } from "./typescript/support.mjs";
import * as watching from "./typescript/watching.mjs";

async function main() {
  const client = await published.install();
  await check("types of the README's files and of a program that uses everything", published.types);
  const registry = await Registry.make("real", "--retention", "2s");
  await check("the README's server and client", published.readme, registry);
  await check("find, with every filter", find.everyFilter, registry, client);
  await check("pick", find.picks, registry, client);
  await check("no more than are asked for", find.limits, registry, client);
  await check("errors", find.errors, registry, client);
  await check("a heartbeat", keeping.staysAlive, registry, client);
  await check("the registry is killed, and forgets", keeping.outlivesTheRegistry, registry, client);
  await check("another process takes the id; the server is not alive", keeping.letsGo, registry, client);
  await check("what another process took is free again", keeping.takesUpAgain, registry, client);
  await check("the registry is restored from a backup", keeping.knowsItself, client);
  await check("the backup is from before this process", keeping.outlivesItsPredecessor, client);
  await check("a heartbeat keeps no process", keeping.keepsNoProcess, registry);
  await check("the first address is dead", failover.firstIsDead, registry, client);
  await check("answers get lost", failover.answersGetLost, registry, client);
  await check("the answer to a replacement gets lost", failover.replacementGetsLost, registry, client);
  await check("a standby", failover.standby, client);
  await check("a Unix socket", failover.overASocket, client);
  await check("events are whole wherever they are cut", watching.cutAnywhere);
  await check("watch", watching.everyChange, registry, client);
  await check("watch, through three kills", watching.survives, registry, client);
  await check("watch lets go", watching.letsGo, registry, client);
  for (const generation of ["1", "2"])
    await check(`announced, generation ${generation}`, announcing.whatItCanDo, registry, generation);
  await check("paulina inspect asks an announced server", announcing.inspected, registry);
  await check("paulina announce announces it", announcing.announcedTwice, registry);
  await check("every end", announcing.everyEnd, registry);
  await check("an end before the response to the registration", announcing.endsBeforeTheResponse, registry);
  await check("announced without a registry", announcing.withoutARegistry);
  await check("announced while the registry hangs", announcing.hangs, registry);
  await check("tokens", find.tokens, registry, client);
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
