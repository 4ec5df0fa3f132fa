// The page of one server.

import assert from "node:assert/strict";
import { showsText, shows } from "./browser.mjs";

export async function serverPage(page) {
  const { registry } = page;
  await page.click("#rows a[href='#server=everything']");
  await shows(page, ".facts");
  const record = await registry.get("/v1/servers/everything");
  assert.equal(await page.textContent("#server h1"), record.name);
  await page.click("#server .copyable button");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), record.command.join(" "));
  const names = (title) =>
    page.$$eval(
      "#server section",
      (all, start) =>
        [
          ...all
            .find((one) => one.querySelector("h2").textContent.startsWith(start))
            .querySelectorAll(".items .definition"),
        ].map((one) => one.textContent),
      title,
    );
  const { tools, resources, prompts } = record.capabilities;
  assert.deepEqual(
    await names("Tools"),
    tools.map(({ name }) => name),
  );
  assert.deepEqual(
    await names("Resources"),
    resources.map(({ uri, uri_template: template }) => uri ?? template),
  );
  assert.deepEqual(
    await names("Prompts"),
    prompts.map(({ name }) => name),
  );
  assert.equal(await page.locator(".item .folded").count(), 0, "collapsed content must not be rendered yet");
  await page.locator(".item summary").first().click();
  assert.deepEqual(JSON.parse(await page.locator(".item[open] pre").first().textContent()), tools[0].inputSchema);
  for (const text of ["platform", "reference", "registered"]) await showsText(page, "#server", text);

  await registry.register(
    '{"id":"exact","name":"exact","transport":"stdio","command":["a b","it\'s"],"ttl":600,"capabilities":{"tools":[{"name":"t","inputSchema":{"default":12345678901234567890.10}}]}}',
  );
  await page.goto(`${registry.url}/#server=exact`);
  await shows(page, ".item summary");
  await page.click(".item summary");
  await showsText(page, ".item pre", "12345678901234567890.10");
  assert.equal(await page.textContent("#server .copyable code"), "'a b' 'it'\\''s'");
  await registry.deregister("exact");
  await shows(page, "#server .notice", 1);
  await page.goto(`${registry.url}/#server=everything`);
  await shows(page, ".facts");
}
