// A registry that requires a token.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { BINARY, until } from "../harness.mjs";
import { checkAccessibility, close, errors, isVisible, showsText, shows, showsIds, openPage } from "./browser.mjs";
import { Registry, end } from "./processes.mjs";
import { authorize, curlCommand, execute, openForm, openTokenDialog, showsOperations } from "./swagger_ui.mjs";

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
  const stored = () => page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]);
  assert.deepEqual(await stored(), [[text], 0, ""]);
  assert(!page.url().includes(text));
  await page.reload();
  await showsIds(page, ["secret"]);
  await page.goto(`${registry.url}/docs`);
  await showsOperations(page);
  await openForm(page, "stats");
  await execute(page, "stats", "200");
  await openForm(page, "register");
  await execute(page, "register", "403");
  assert.match(await curlCommand(page, "stats"), /"Authorization: Bearer \$PAULINA_TOKEN"/);
  const isHidden = async () => {
    assert(!(await page.content()).includes(text), "the page must not contain the token");
    assert(!page.url().includes(text));
  };
  await isHidden();
  await openTokenDialog(page);
  await isHidden();
  await checkAccessibility(page, "API with a token");
  await page.click(".auth-btn-wrapper button:has-text('Logout')");
  await page.click(".auth-btn-wrapper .btn-done");
  assert.deepEqual(await stored(), [[], 0, ""]);
  await execute(page, "stats", "401");
  await authorize(page, "paulina_wrong");
  await execute(page, "stats", "401");
  await openTokenDialog(page);
  await page.click(".auth-btn-wrapper button:has-text('Logout')");
  await page.keyboard.press("Escape");
  await authorize(page, text);
  await execute(page, "stats", "200");
  await isHidden();
  assert.deepEqual(await stored(), [[text], 0, ""]);

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
