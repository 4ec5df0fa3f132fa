// The web UI in a real browser: the dashboard and the API page in headless Chromium, with the release binary and real MCP
// servers.
//
//   node ui/main.mjs
//
// PAULINA_BINARY is the binary (target/release/paulina), CHROMIUM the browser, SCREENSHOTS a folder for screenshots. The
// packages come from target/e2e/node_modules.

import assert from "node:assert/strict";
import fs from "node:fs";
import { apiPageColorSchemesAndPhone, apiPageKeyboard, keyboard, colorSchemesAndPhone } from "./accessibility.mjs";
import { apiPage, apiPageUnderPathPrefix, untrustedDocument } from "./api_page.mjs";
import { SCREENSHOTS, close, closeBrowser, errors, launch, screenshot, shows, openPage } from "./browser.mjs";
import { thousandServers } from "./many_servers.mjs";
import { Registry, TEMPORARY, announceAll, processes } from "./processes.mjs";
import { searchAndFilters, liveChanges, emptyRegistry, equalsTheApi, restart, leases } from "./server_list.mjs";
import { serverPage } from "./server_page.mjs";
import { token } from "./token.mjs";

async function check(name, run, ...args) {
  const began = Date.now();
  try {
    await run(...args);
    assert.deepEqual(errors.found, [], "errors in the browser");
  } catch (error) {
    if (SCREENSHOTS && args[0]?.screenshot) await screenshot(args[0], "failed").catch(() => {});
    console.error(`FAILED: ${name}`);
    throw error;
  }
  console.log(`  ${name}: ok (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

async function main() {
  await launch();
  const registry = await Registry.make("real");
  await check("empty registry", emptyRegistry, registry);
  const announced = await announceAll(registry);
  console.log(`  real servers: ${Object.keys(announced).join(", ")}`);
  const page = await openPage(registry);
  await shows(page, "#rows tr");
  await check("the list equals the API", equalsTheApi, page);
  await check("leases run and are refreshed", leases, page);
  await check("servers are registered, updated and deregistered", liveChanges, page);
  await check("search and filters are kept in the URL", searchAndFilters, page);
  await check("the page of one server", serverPage, page);
  await check("keyboard navigation", keyboard, registry);
  await check("light, dark, phone", colorSchemesAndPhone, registry);
  await check("API page", apiPage, registry);
  await check("API page: keyboard navigation", apiPageKeyboard, registry);
  await check("API page: light, dark, phone", apiPageColorSchemesAndPhone, registry);
  await check("API page: under a path prefix", apiPageUnderPathPrefix, registry);
  await check("API page: a changed or unreachable document", untrustedDocument, registry);
  await check("the registry is down and restarts", restart, page);
  await page.goto(registry.url);
  await shows(page, "#rows tr");
  await check("a real server exits", async () => {
    announced.memory.stdin.end();
    await announced.memory.exited;
    await page.waitForFunction(
      () =>
        !document.querySelector("#rows").textContent.includes("#server=memory") &&
        ![...document.querySelectorAll("#rows .ident")].some((one) => one.textContent === "memory"),
      null,
      { timeout: 1000 },
    );
  });
  await close(page);
  await check("token", token);
  await check("a thousand servers", thousandServers);
  assert.deepEqual(errors.found, []);
  console.log("ui: passed");
}

try {
  await main();
} catch (error) {
  console.error(error);
  for (const error of errors.found) console.error(`  ${error}`);
  console.error(`see ${TEMPORARY}/output.log`);
  process.exitCode = 1;
} finally {
  await closeBrowser();
  for (const child of processes) child.kill("SIGKILL");
  if (!process.exitCode) fs.rmSync(TEMPORARY, { recursive: true, force: true });
}
