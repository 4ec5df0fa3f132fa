// The API page, whose forms make requests.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { checkAccessibility, close, showsText, shows, openPage } from "./browser.mjs";

export async function apiPage(registry) {
  const page = await openPage(registry, "/docs");
  await shows(page, "#find");
  const document = await registry.get("/openapi.json");
  const wanted = Object.values(document.paths)
    .flatMap((item) => Object.values(item).map((operation) => operation.operationId))
    .sort();
  assert.deepEqual((await page.$$eval("article.operation", (all) => all.map(({ id }) => id))).sort(), wanted);
  const answer = async (id) => {
    await page.click(`#${id} .try button[type=submit]`);
    await page.waitForFunction(
      (one) => document.querySelector(`#${one} .status`) && document.querySelector(`#${one} [data-answer]`).textContent,
      id,
    );
    return {
      status: await page.textContent(`#${id} .status strong`),
      body: await page.textContent(`#${id} [data-answer]`),
    };
  };
  const open = async (id) => {
    await page.click(`#${id} .trial summary`);
    await shows(page, `#${id} .try`);
  };
  await open("register");
  const registered = await answer("register");
  assert.equal(registered.status, "201 Created");
  const { id } = JSON.parse(registered.body);
  await open("get");
  assert.equal(JSON.parse((await answer("get")).body).id, id, "the examples must be consistent");
  await open("find");
  await page.check("#find [aria-label='Send tool']");
  const command = await page.textContent("#find .try pre code");
  const { status, body } = await answer("find");
  assert.equal(status, "200 OK");
  const curl = spawnSync("sh", ["-c", command.replace("curl -i", "curl -s --noproxy '*'")], { encoding: "utf8" });
  assert.deepEqual(
    JSON.parse(curl.stdout).servers.map((server) => server.id),
    JSON.parse(body).servers.map((server) => server.id),
    command,
  );
  if (wanted.includes("watch")) {
    await open("watch");
    await page.click("#watch .try button[type=submit]");
    await showsText(page, "#watch [data-answer]", "event: snapshot");
    await page.click("#watch .try button:has-text('Stop')");
    await showsText(page, "#watch .output", "Stopped");
  }
  await open("deregister");
  await page.click("#deregister .try button[type=submit]");
  await showsText(page, "#deregister .status", "204");
  await checkAccessibility(page, "API with forms and answers");
  await close(page);
}
