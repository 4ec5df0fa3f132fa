// A thousandServers servers: how fast the list is painted, updated and searched.

import assert from "node:assert/strict";
import { close, delay, showsText, openPage } from "./browser.mjs";
import { Registry, end } from "./processes.mjs";

const MANY = 1000;

export async function thousandServers() {
  const registry = await Registry.make("many");
  const server = (number) => ({
    id: `server-${number}`,
    name: `server-${number % 100}`,
    version: `1.${number}.0`,
    transport: number % 3 ? "stdio" : "streamable-http",
    ...(number % 3 ? { command: ["mcp-server", String(number)] } : { url: `http://host-${number}.example/mcp` }),
    description: "A server among many.",
    tags: [`team-${number % 20}`, number % 2 ? "local" : "remote"],
    ttl: 3600,
    capabilities: {
      tools: Array.from({ length: 14 }, (_, index) => ({
        name: `tool_${number}_${index}`,
        description:
          "Reads the complete contents of a file from the file system, as text, in whichever encoding it has. ".repeat(
            2,
          ),
        inputSchema: { type: "object", properties: { path: { type: "string" } } },
      })),
    },
  });
  for (let first = 0; first < MANY; first += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => registry.register(server(first + index))));
  }
  const paints = [];
  let page;
  for (let round = 0; round < 5; round += 1) {
    if (page) await close(page);
    page = await openPage(registry);
    await page.waitForFunction(() => window.rowsPainted);
    paints.push(
      await page.evaluate(() => [
        performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? window.rowsPainted,
        window.rowsPainted,
      ]),
    );
  }
  await page.waitForFunction((many) => document.querySelectorAll("#rows tr").length === many, MANY, {
    timeout: 10_000,
  });
  const whole = await page.evaluate(() => performance.now());
  const list = (values) => values.map((value) => Math.round(value)).join(", ");
  console.log(
    `    ${MANY} servers: first paint after ${list(paints.map(([first]) => first))} ms, first rows after ${list(paints.map(([, rows]) => rows))} ms, all rows within ${Math.round(whole)} ms`,
  );
  const median = paints.map(([, rows]) => rows).sort((a, b) => a - b)[2];
  assert(median < 1000, "the first rows must be painted within 1 s");

  const delays = [];
  for (let round = 0; round < 20; round += 1) {
    delays.push(
      await delay(page, "#changes", `fresh-${round}.`, () =>
        registry.register({ ...server(MANY), id: `fresh-${round}.` }),
      ),
    );
  }
  delays.sort((a, b) => a - b);
  console.log(`    a change is displayed after ${delays[10]} ms (median of 20), ${delays.at(-1)} ms at most`);
  assert(delays.at(-1) < 1000);

  const startedAt = Date.now();
  await page.fill("#q", "tool_777_3");
  await page.waitForFunction(() => document.querySelector("#rows .ident")?.textContent === "server-777");
  console.log(`    a search result is displayed after ${Date.now() - startedAt} ms, best match first`);
  await page.fill("#q", "");
  await page.waitForFunction((many) => document.querySelectorAll("#rows tr").length >= many, MANY);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await showsText(page, "#rows tr:last-child .time-left", "min");
  await close(page);
  await end(registry.process, "SIGKILL");
}
