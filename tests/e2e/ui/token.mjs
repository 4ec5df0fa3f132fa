// A registry that requires a token.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { BINARY, until } from "../harness.mjs";
import { checkAccessibility, close, errors, isVisible, showsText, shows, showsIds, openPage } from "./browser.mjs";
import { Registry, end } from "./processes.mjs";

export async function token() {
  const registry = await Registry.make("token");
  await registry.register({ id: "secret", name: "secret", transport: "stdio", command: ["secret"], ttl: 600 });
  const made = spawnSync(
    BINARY,
    ["token", "create", "--database", registry.database, "--name", "viewer", "--role", "read"],
    { encoding: "utf8" },
  );
  assert.equal(made.status, 0, made.stderr);
  const text = made.stdout.trim().split("\n").at(-1);
  await until(
    async () => (await fetch(`${registry.url}/v1/servers`)).status === 401,
    5,
    "the registry requires a token",
  );

  errors.expected = /status of 40[13]/;
  const page = await openPage(registry);
  await shows(page, "#access form");
  await showsText(page, "#access-title", "requires a token");
  assert(!(await isVisible(page, "#servers-view")));
  await checkAccessibility(page, "token form");
  await page.fill("#access input", "paulina_wrong");
  await page.keyboard.press("Enter");
  await showsText(page, "#access-title", "Unknown token");
  await page.fill("#access input", text);
  await page.keyboard.press("Enter");
  await showsIds(page, ["secret"]);
  await showsText(page, "#connection", "live");
  assert.deepEqual(await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]), [
    [text],
    0,
    "",
  ]);
  assert(!page.url().includes(text));
  await page.reload();
  await showsIds(page, ["secret"]);
  await page.goto(`${registry.url}/docs`);
  await shows(page, "#stats");
  for (const [id, status] of [
    ["stats", "200"],
    ["register", "403"],
  ]) {
    await page.click(`#${id} .trial summary`);
    await page.click(`#${id} .try button[type=submit]`);
    await showsText(page, `#${id} .status`, status);
  }
  assert(!(await page.textContent("#stats .try pre")).includes(text), "the command to copy must not contain the token");

  await page.goto(registry.url);
  await showsIds(page, ["secret"]);
  const revoked = spawnSync(
    BINARY,
    ["token", "create", "--database", registry.database, "--name", "other", "--role", "admin"],
    { encoding: "utf8" },
  );
  assert.equal(revoked.status, 0);
  spawnSync(BINARY, ["token", "revoke", "--database", registry.database, "--name", "viewer"]);
  await page.reload();
  await shows(page, "#access form");
  await close(page);
  errors.expected = null;
  await end(registry.process, "SIGKILL");
}
