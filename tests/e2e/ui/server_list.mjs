// The list of servers: emptyRegistry, equal to the API, live, filtered, and after a kill of the registry.

import assert from "node:assert/strict";
import { until } from "../harness.mjs";
import { checkAccessibility, close, delay, errors, ids, showsText, shows, showsIds, openPage } from "./browser.mjs";
import { end } from "./processes.mjs";

export async function emptyRegistry(registry) {
  const page = await openPage(registry);
  await shows(page, "#empty");
  const command = `paulina announce --registry ${registry.url} -- npx -y @modelcontextprotocol/server-everything`;
  await page.click("#empty button");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  await checkAccessibility(page, "nothing registered");
  await registry.register({ id: "first", name: "first", transport: "stdio", command: ["first"] });
  await showsIds(page, ["first"], 1);
  await registry.deregister("first");
  await page.waitForFunction(() => !document.querySelector("#empty").hidden, null, { timeout: 1000 });
  await close(page);
}

export async function equalsTheApi(page) {
  const { servers } = await page.registry.get("/v1/servers?healthy=any");
  await showsIds(
    page,
    servers.map(({ id }) => id),
  );
  const rows = await page.$$eval("#rows tr", (all) =>
    Object.fromEntries(
      all.map((row) => {
        const text = (selector) => row.querySelector(selector).textContent;
        const tags = [...row.querySelectorAll(".tag")].map((tag) => tag.textContent);
        return [
          text(".ident"),
          {
            name: text("a"),
            health: text(".health"),
            transport: text(".c-transport"),
            number: text(".number"),
            names: text(".names"),
            tags,
            left: text(".time-left"),
          },
        ];
      }),
    ),
  );
  for (const { id, name, health, transport, capabilities, tags } of servers) {
    const { left, names, ...row } = rows[id];
    assert.deepEqual(row, { name, health, transport, number: String(capabilities.tools.length), tags });
    assert(
      names.startsWith(
        capabilities.tools
          .slice(0, 12)
          .map((tool) => tool.name)
          .join(", "),
      ),
      names,
    );
    assert(/^([1-9]|10) s$/.test(left), `the lease of ${id}: ${left}`);
  }
  const stats = await page.registry.get("/v1/stats");
  await page.waitForFunction(
    (total) => document.querySelector("#totals dd")?.textContent === String(total),
    stats.servers.total,
  );
  const totals = await page.$$eval("#totals div", (all) =>
    Object.fromEntries(
      all.map((one) => [
        one.querySelector("dt").textContent,
        Number(one.querySelector("dd").textContent.replace(/\D/g, "")),
      ]),
    ),
  );
  const {
    tools,
    resources,
    prompts,
    servers: {
      total,
      by_health: { healthy, unhealthy },
    },
  } = stats;
  assert.deepEqual(Object.values(totals), [total, healthy, unhealthy, tools, resources, prompts]);
}

export async function leases(page) {
  const seconds = () => page.$$eval("#rows .time-left", (all) => all.map((one) => parseInt(one.textContent, 10)));
  const first = await seconds();
  await page.waitForFunction(
    (was) =>
      [...document.querySelectorAll("#rows .time-left")].some(
        (one, index) => parseInt(one.textContent, 10) < was[index],
      ),
    first,
    { timeout: 3000 },
  );
  // The servers refresh every 5 s: the displayed lease must become longer, although no event reports that.
  let lowest = await seconds();
  await until(
    async () => {
      const now = await seconds();
      const isRefreshed = now.some((left, index) => left > lowest[index] + 2);
      lowest = now.map((left, index) => Math.min(left, lowest[index]));
      return isRefreshed;
    },
    12,
    "a refreshed lease is displayed",
  );
}

export async function liveChanges(page) {
  const { registry } = page;
  const server = {
    id: "guest",
    name: "guest",
    transport: "streamable-http",
    url: "https://guest.example/mcp",
    ttl: 600,
    tags: ["guest"],
    description: "<img src=x onerror=alert(1)>",
    capabilities: { tools: [{ name: "<b>bold</b>", description: "<script>alert(1)</script>" }] },
  };
  const came = await delay(page, "#rows", "guest.example", () =>
    registry.register({ ...server, title: "guest.example" }),
  );
  const changed = await delay(page, "#rows", "another title", () =>
    registry.register({ ...server, title: "another title" }),
  );
  await showsText(page, "#changes li", "updated");
  const began = Date.now();
  await registry.deregister("guest");
  await page.waitForFunction(() => !document.querySelector("#rows").textContent.includes("another title"), null, {
    polling: "raf",
  });
  const went = Date.now() - began;
  await showsText(page, "#changes li", "deregistered");
  assert(Math.max(came, changed, went) < 1000, `${came}, ${changed}, ${went} ms`);
  console.log(`    displayed after: registered ${came} ms, updated ${changed} ms, deregistered ${went} ms`);

  await registry.register({ id: "brief", name: "brief", transport: "stdio", command: ["brief"], ttl: 1 });
  await showsText(page, "#changes", "expired", 5);
  await page.waitForFunction(() => !document.querySelector("#rows").textContent.includes("brief"), null, {
    timeout: 5000,
  });
}

export async function searchAndFilters(page) {
  const { registry } = page;
  const api = async (query) => (await registry.get(`/v1/servers?healthy=any&${query}`)).servers.map(({ id }) => id);
  const q = async (words) => {
    await page.fill("#q", words);
    const wanted = await api(`q=${encodeURIComponent(words)}`);
    await page.waitForFunction(
      (all) => String([...document.querySelectorAll("#rows .ident")].map((one) => one.textContent)) === String(all),
      wanted,
    );
    assert.equal(new URL(page.url()).searchParams.get("q"), words);
  };
  await q("read file");
  await q("knowledge graph");
  await q("convert time");
  await page.fill("#q", "zzzyyyxxx");
  await shows(page, "#nothing");
  await page.click("#clear-all");
  await showsIds(page, await api("limit=100"));

  await page.selectOption("#transport", "stdio");
  await page.click("#tag-menu summary");
  await page.check("#tag-menu input[value=npm]");
  await page.check("#tag-menu input[value=local]");
  await page.keyboard.press("Escape");
  await showsIds(page, await api("transport=stdio&tag=npm&tag=local"));
  assert.equal(new URL(page.url()).search, "?transport=stdio&tag=npm&tag=local");
  await page.goBack();
  await showsIds(page, await api("transport=stdio&tag=npm"));
  await page.goForward();
  await showsIds(page, await api("transport=stdio&tag=npm&tag=local"));

  await page.goto(`${registry.url}/?health=unhealthy`);
  await shows(page, "#nothing");
  await page.goto(`${registry.url}/?q=file&transport=stdio&health=healthy&capability=tools&tag=npm`);
  await showsIds(page, await api("q=file&transport=stdio&capability=tools&tag=npm"));
  assert.deepEqual(
    await page.$eval("#filters", () => ["q", "transport", "health"].map((id) => document.getElementById(id).value)),
    ["file", "stdio", "healthy"],
  );
  await page.goto(registry.url);
  await shows(page, "#rows tr");
}

export async function restart(page) {
  const { registry } = page;
  await page.goto(registry.url);
  await shows(page, "#rows tr");
  const before = await ids(page);
  errors.expected = /net::ERR_/;
  await end(registry.process, "SIGKILL");
  await showsText(page, "#banner", "not reachable", 4);
  assert.deepEqual(await ids(page), before, "the known servers must stay on the screen");
  await checkAccessibility(page, "registry down");
  await registry.start();
  const back = Date.now();
  await page.waitForFunction(() => document.querySelector("#banner").textContent === "", null, { timeout: 8000 });
  console.log(`    the page recovered ${Date.now() - back} ms after the start of the registry`);
  errors.expected = null;
  await showsIds(page, before);
  await registry.register({ id: "after", name: "after", transport: "stdio", command: ["after"], ttl: 600 });
  await showsText(page, "#changes li", "after", 1);
  await registry.deregister("after");
}
