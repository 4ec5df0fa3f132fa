// The API page, whose forms make requests.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { checkAccessibility, close, errors, shows, openPage } from "./browser.mjs";
import { proxyUnder } from "./processes.mjs";
import { curlCommand, execute, openForm, operation, showsOperations } from "./swagger_ui.mjs";

export async function apiPage(registry) {
  const page = await openPage(registry, "/docs");
  await showsOperations(page);
  const document = await registry.get("/openapi.json");
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
  assert.deepEqual(
    (await page.$$eval(".opblock", (all) => all.map(({ id }) => id))).sort(),
    operations.map(({ tags: [tag], operationId }) => `operations-${tag}-${operationId}`).sort(),
  );
  await openForm(page, "register");
  const { id } = JSON.parse(await execute(page, "register", "201"));
  await openForm(page, "get");
  assert.equal(JSON.parse(await execute(page, "get", "200")).id, id, "the examples must be consistent");
  await openForm(page, "find");
  const tool = `${operation("find")} tr[data-param-name=tool]`;
  await page.click(`${tool} button:has-text("Add string item")`);
  await page.fill(`${tool} input`, "read_file");
  const { servers } = JSON.parse(await execute(page, "find", "200"));
  const found = servers.map((server) => server.id);
  assert(found.includes(id), `${found}`);
  const command = await curlCommand(page, "find");
  assert.match(command, /tool=read_file/);
  const curl = spawnSync("sh", ["-c", command.replace("curl", "curl -s --noproxy '*'")], { encoding: "utf8" });
  assert.deepEqual(
    JSON.parse(curl.stdout).servers.map((server) => server.id),
    found,
    command,
  );
  await openForm(page, "watch");
  assert.match(await execute(page, "watch", "200"), /^event: snapshot$/m);
  await openForm(page, "deregister");
  await execute(page, "deregister", "204");
  await checkAccessibility(page, "API with forms and answers");

  const requested = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  for (const file of ["swagger-ui-bundle.js", "swagger-ui.css", "openapi.json", "v1/watch"])
    assert(
      requested.some((url) => url.includes(file)),
      `${file} is not in ${requested}`,
    );
  assert.deepEqual(
    requested.filter((url) => new URL(url).origin !== registry.url),
    [],
    "requests to another origin",
  );
  await close(page);
}

export async function apiPageUnderPathPrefix(registry) {
  const proxy = await proxyUnder(registry, "/tools/registry");
  const page = await openPage({ url: proxy.origin }, "/tools/registry/docs");
  await showsOperations(page);
  await openForm(page, "stats");
  await execute(page, "stats", "200");
  assert((await curlCommand(page, "stats")).includes(`${proxy.origin}/tools/registry/v1/stats`));
  await page.click("nav a:has-text('Servers')");
  await shows(page, "#rows tr");
  assert.equal(page.url(), `${proxy.origin}/tools/registry/`);
  await close(page);
  await proxy.close();
}

/** The document comes from the registry, but a proxy may change it: its text must not become markup. */
export async function untrustedDocument(registry) {
  const page = await openPage(registry, "/docs");
  await showsOperations(page);
  await page.route("**/openapi.json", async (route) => {
    const document = await (await route.fetch()).json();
    document.info.description =
      "**bold** <img src=x onerror=alert(1)> <script>alert(1)</script> [link](javascript:alert(1))";
    await route.fulfill({ json: document });
  });
  // Chromium reports the handler that DOMPurify removes.
  errors.expected = /Executing inline event handler violates/;
  await page.reload();
  await shows(page, ".info .description", 20);
  assert.match(await page.textContent(".info .description"), /bold/);
  assert.equal(await page.locator(".info .description :is(img, script, [onerror], [href^=javascript])").count(), 0);
  await page.unroute("**/openapi.json");

  errors.expected = /net::ERR_/;
  await page.route("**/openapi.json", (route) => route.abort());
  await page.reload();
  await shows(page, "#viewer [role=alert]", 20);
  await page.unroute("**/openapi.json");
  await page.click("#viewer [role=alert] button");
  await showsOperations(page);
  errors.expected = null;
  await close(page);
}
