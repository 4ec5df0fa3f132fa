// The dashboard and the API pages in a real browser: headless Chromium against the release binary and real MCP servers.
//
//   node pages.mjs
//
// PAULINA_BINARY is the binary (target/release/paulina), CHROMIUM the browser, SCREENSHOTS a folder for pictures. The
// packages come from target/e2e/node_modules.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const WORK = path.join(ROOT, "target/e2e");
const BINARY = process.env.PAULINA_BINARY ?? path.join(ROOT, "target/release/paulina");
const CHROMIUM = process.env.CHROMIUM
  ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) => fs.existsSync(file));
const SCREENSHOTS = process.env.SCREENSHOTS;
const TEMPORARY = fs.mkdtempSync(path.join(os.tmpdir(), "paulina-pages-"));
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
const MANY = 1000;

const require = createRequire(path.join(WORK, "package.json"));
const { chromium } = require("playwright-core");
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const processes = new Set();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function start(command, args, options = {}) {
  const log = fs.openSync(path.join(TEMPORARY, "output.log"), "a");
  const child = spawn(command, args, { stdio: ["pipe", log, log], ...options });
  child.exited = new Promise((resolve) => child.on("exit", resolve));
  processes.add(child);
  child.exited.then(() => processes.delete(child));
  return child;
}

async function end(child, signal = "SIGTERM") {
  child.kill(signal);
  await child.exited;
}

async function until(condition, seconds, what) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    assert(Date.now() < deadline, `${what}: not within ${seconds} s`);
    await sleep(20);
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** `paulina serve` on one port and one file, to be killed and started again. */
class Registry {
  constructor(name, port) {
    this.database = path.join(TEMPORARY, `${name}.db`);
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async make(name) {
    const registry = new Registry(name, await freePort());
    await registry.start();
    return registry;
  }

  async start() {
    this.process = start(BINARY, ["serve", "--listen", `127.0.0.1:${this.port}`, "--database", this.database]);
    await until(() => fetch(`${this.url}/readyz`).then((answer) => answer.ok, () => false), 20, "the registry is ready");
  }

  async get(address, token) {
    const answer = await fetch(this.url + address, { headers: token ? { authorization: `Bearer ${token}` } : {} });
    assert.equal(answer.status, 200, `${address}: ${answer.status}`);
    return answer.json();
  }

  async register(body) {
    const answer = await fetch(`${this.url}/v1/servers`, {
      method: "POST", headers: { "content-type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body),
    });
    assert(answer.ok, `${answer.status} ${await answer.text()}`);
  }

  async deregister(id) {
    const answer = await fetch(`${this.url}/v1/servers/${id}`, { method: "DELETE" });
    assert.equal(answer.status, 204);
  }
}

/** Real servers, as many as are installed: id to its announcing process. */
async function announceAll(registry) {
  // By name, as people write them.
  const bins = ["node_modules/.bin", "venv-time/bin", "venv-git/bin"].map((folder) => path.join(WORK, folder));
  const env = { ...process.env, PATH: [...bins, process.env.PATH].join(":") };
  const isThere = (program) => bins.some((folder) => fs.existsSync(path.join(folder, program)));
  const files = path.join(TEMPORARY, "files");
  fs.mkdirSync(files);
  spawnSync("git", ["init", "--quiet", files]);
  const [everything, notes] = [await freePort(), await freePort()];
  const commands = {
    everything: ["--tag", "npm", "--tag", "reference", "--metadata", "team=platform", "--", "mcp-server-everything"],
    filesystem: ["--tag", "npm", "--tag", "local", "--", "mcp-server-filesystem", files],
    memory: ["--tag", "npm", "--env", "MEMORY_FILE_PATH", "--", "mcp-server-memory"],
    thinking: ["--tag", "npm", "--", "mcp-server-sequential-thinking"],
    time: ["--tag", "pypi", "--", "mcp-server-time"],
    git: ["--tag", "pypi", "--tag", "local", "--", "mcp-server-git", "--repository", files],
    "everything-http": ["--tag", "npm", "--url", `http://127.0.0.1:${everything}/mcp`],
    notes: ["--tag", "pypi", "--metadata", "team=office", "--url", `http://127.0.0.1:${notes}/mcp`],
  };
  const fastmcp = path.join(WORK, "venv-fastmcp/bin/python");
  if (fs.existsSync(fastmcp)) start(fastmcp, [path.join(ROOT, "tests/e2e/fastmcp_server.py"), String(notes)]);
  else delete commands.notes;
  start("mcp-server-everything", ["streamableHttp"], { env: { ...env, PORT: String(everything) } });
  const announced = {};
  for (const [id, args] of Object.entries(commands)) {
    if (args.includes("--") && !isThere(args[args.indexOf("--") + 1])) continue;
    announced[id] = start(BINARY, ["announce", "--registry", registry.url, "--id", id, "--ttl", "10", ...args], { env });
  }
  const ids = Object.keys(announced).sort();
  const registered = async () => (await registry.get("/v1/servers")).servers.map(({ id }) => id).sort();
  await until(async () => String(await registered()) === String(ids), 60, `all of ${ids} are registered`);
  return announced;
}

// ---- The browser

let browser;
const complaints = [];
let expected = null;

/** A tab that notes every error, every request to elsewhere and every violation of the policy. */
async function tab(registry, address = "/", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", ...options });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: registry.url });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    new MutationObserver((_, observer) => {
      if (!document.querySelector("#rows tr")) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => {
        window.rowsPainted = performance.now();
      }));
    }).observe(document, { childList: true, subtree: true });
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type()) || expected?.test(message.text())) return;
    // A server that has just left may be asked for once more.
    if (/status of 404/.test(message.text()) && /\/v1\/servers\/[^/]+/.test(message.location().url)) return;
    complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.stack}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== registry.url) complaints.push(`a request to elsewhere: ${request.url()}`);
  });
  await page.goto(registry.url + address);
  page.registry = registry;
  return page;
}

async function close(page) {
  complaints.push(...(await page.evaluate(() => window.violations)).map((violation) => `policy violated: ${violation}`));
  await page.context().close();
}

const isVisible = (page, selector) => page.locator(selector).isVisible();
const shows = (page, selector, seconds = 5) => page.locator(selector).first().waitFor({ state: "visible", timeout: seconds * 1000 });
const saysSo = (page, selector, text, seconds = 5) =>
  page.waitForFunction(([where, what]) => document.querySelector(where)?.textContent.includes(what), [selector, text], { timeout: seconds * 1000 });
const ids = (page) => page.$$eval("#rows .ident", (all) => all.map((one) => one.textContent));
const showsIds = (page, wanted, seconds = 5) => page.waitForFunction((all) =>
  String([...document.querySelectorAll("#rows .ident")].map((one) => one.textContent).sort()) === String(all), [...wanted].sort(), { timeout: seconds * 1000 });

async function fits(page, what) {
  // Not `innerWidth`: a phone zooms out until everything is in.
  const { width } = page.viewportSize();
  const content = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, innerWidth));
  assert(content <= width, `${what} scrolls sideways: ${content} px in ${width} px`);
}

async function accessible(page, what) {
  await page.evaluate(AXE);
  const { violations, passes, incomplete } = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules }), RULES);
  const lines = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(lines, [], `axe on ${what}`);
  const elements = passes.reduce((sum, { nodes }) => sum + nodes.length, 0);
  const unsure = incomplete.length ? `, ${incomplete.length} for a person to judge (${incomplete.map(({ id }) => id).join(", ")})` : "";
  console.log(`    axe, ${what}: ${passes.length} rules on ${elements} elements, no violation${unsure}`);
}

async function picture(page, name, fullPage = false) {
  if (!SCREENSHOTS) return;
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage });
}

/** Milliseconds from the moment that `act` is begun until the page shows `text` in `selector`. */
async function delay(page, selector, text, act) {
  const seen = page.evaluate(([where, what]) => new Promise((resolve) => {
    const look = () => document.querySelector(where)?.textContent.includes(what) && (observer.disconnect(), requestAnimationFrame(() => resolve(Date.now())), true);
    const observer = new MutationObserver(look);
    if (!look()) observer.observe(document.body, { childList: true, subtree: true, characterData: true });
  }), [selector, text]);
  const began = Date.now();
  await act();
  return (await seen) - began;
}

// ---- The checks

async function empty(registry) {
  const page = await tab(registry);
  await shows(page, "#empty");
  const command = `paulina announce --registry ${registry.url} -- npx -y @modelcontextprotocol/server-everything`;
  await page.click("#empty button");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  await accessible(page, "nothing registered");
  await registry.register({ id: "first", name: "first", transport: "stdio", command: ["first"] });
  await showsIds(page, ["first"], 1);
  await registry.deregister("first");
  await page.waitForFunction(() => !document.querySelector("#empty").hidden, null, { timeout: 1000 });
  await close(page);
}

async function equalsTheApi(page) {
  const { servers } = await page.registry.get("/v1/servers?healthy=any");
  await showsIds(page, servers.map(({ id }) => id));
  const rows = await page.$$eval("#rows tr", (all) => Object.fromEntries(all.map((row) => {
    const text = (selector) => row.querySelector(selector).textContent;
    const tags = [...row.querySelectorAll(".tag")].map((tag) => tag.textContent);
    return [text(".ident"), { name: text("a"), health: text(".health"), transport: text(".c-transport"), number: text(".number"), names: text(".names"), tags, left: text(".time-left") }];
  })));
  for (const { id, name, health, transport, capabilities, tags } of servers) {
    const { left, names, ...row } = rows[id];
    assert.deepEqual(row, { name, health, transport, number: String(capabilities.tools.length), tags });
    assert(names.startsWith(capabilities.tools.slice(0, 12).map((tool) => tool.name).join(", ")), names);
    assert(/^([1-9]|10) s$/.test(left), `the lease of ${id}: ${left}`);
  }
  const stats = await page.registry.get("/v1/stats");
  await page.waitForFunction((total) => document.querySelector("#totals dd")?.textContent === String(total), stats.servers.total);
  const totals = await page.$$eval("#totals div", (all) => Object.fromEntries(all.map((one) => [one.querySelector("dt").textContent, Number(one.querySelector("dd").textContent.replace(/\D/g, ""))])));
  const { tools, resources, prompts, servers: { total, by_health: { healthy, unhealthy } } } = stats;
  assert.deepEqual(Object.values(totals), [total, healthy, unhealthy, tools, resources, prompts]);
}

async function leases(page) {
  const seconds = () => page.$$eval("#rows .time-left", (all) => all.map((one) => parseInt(one.textContent, 10)));
  const first = await seconds();
  await page.waitForFunction((was) => [...document.querySelectorAll("#rows .time-left")].some((one, index) => parseInt(one.textContent, 10) < was[index]), first, { timeout: 3000 });
  // The servers refresh every 5 s: a lease is seen to be longer again, though no event tells of it.
  let lowest = await seconds();
  await until(async () => {
    const now = await seconds();
    const isRefreshed = now.some((left, index) => left > lowest[index] + 2);
    lowest = now.map((left, index) => Math.min(left, lowest[index]));
    return isRefreshed;
  }, 12, "a refreshed lease is seen");
}

async function comesAndGoes(page) {
  const { registry } = page;
  const server = { id: "guest", name: "guest", transport: "streamable-http", url: "https://guest.example/mcp", ttl: 600, tags: ["guest"],
    description: "<img src=x onerror=alert(1)>", capabilities: { tools: [{ name: "<b>bold</b>", description: "<script>alert(1)</script>" }] } };
  const came = await delay(page, "#rows", "guest.example", () => registry.register({ ...server, title: "guest.example" }));
  const changed = await delay(page, "#rows", "another title", () => registry.register({ ...server, title: "another title" }));
  await saysSo(page, "#changes li", "updated");
  const began = Date.now();
  await registry.deregister("guest");
  await page.waitForFunction(() => !document.querySelector("#rows").textContent.includes("another title"), null, { polling: "raf" });
  const went = Date.now() - began;
  await saysSo(page, "#changes li", "deregistered");
  assert(Math.max(came, changed, went) < 1000, `${came}, ${changed}, ${went} ms`);
  console.log(`    seen after: registered ${came} ms, updated ${changed} ms, deregistered ${went} ms`);

  await registry.register({ id: "brief", name: "brief", transport: "stdio", command: ["brief"], ttl: 1 });
  await saysSo(page, "#changes", "expired", 5);
  await page.waitForFunction(() => !document.querySelector("#rows").textContent.includes("brief"), null, { timeout: 5000 });
}

async function addressHoldsTheView(page) {
  const { registry } = page;
  const api = async (query) => (await registry.get(`/v1/servers?healthy=any&${query}`)).servers.map(({ id }) => id);
  const q = async (words) => {
    await page.fill("#q", words);
    const wanted = await api(`q=${encodeURIComponent(words)}`);
    await page.waitForFunction((all) => String([...document.querySelectorAll("#rows .ident")].map((one) => one.textContent)) === String(all), wanted);
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
  assert.deepEqual(await page.$eval("#filters", () => ["q", "transport", "health"].map((id) => document.getElementById(id).value)), ["file", "stdio", "healthy"]);
  await page.goto(registry.url);
  await shows(page, "#rows tr");
}

async function oneServer(page) {
  const { registry } = page;
  await page.click("#rows a[href='#server=everything']");
  await shows(page, ".facts");
  const record = await registry.get("/v1/servers/everything");
  assert.equal(await page.textContent("#server h1"), record.name);
  await page.click("#server .copyable button");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), record.command.join(" "));
  const names = (title) => page.$$eval("#server section", (all, start) => [...all.find((one) => one.querySelector("h2").textContent.startsWith(start)).querySelectorAll(".items .definition")].map((one) => one.textContent), title);
  const { tools, resources, prompts } = record.capabilities;
  assert.deepEqual(await names("Tools"), tools.map(({ name }) => name));
  assert.deepEqual(await names("Resources"), resources.map(({ uri, uri_template: template }) => uri ?? template));
  assert.deepEqual(await names("Prompts"), prompts.map(({ name }) => name));
  assert.equal(await page.locator(".item .folded").count(), 0, "what is folded is not made yet");
  await page.locator(".item summary").first().click();
  assert.deepEqual(JSON.parse(await page.locator(".item[open] pre").first().textContent()), tools[0].inputSchema);
  for (const text of ["platform", "reference", "registered"]) await saysSo(page, "#server", text);

  await registry.register('{"id":"exact","name":"exact","transport":"stdio","command":["a b","it\'s"],"ttl":600,"capabilities":{"tools":[{"name":"t","inputSchema":{"default":12345678901234567890.10}}]}}');
  await page.goto(`${registry.url}/#server=exact`);
  await shows(page, ".item summary");
  await page.click(".item summary");
  await saysSo(page, ".item pre", "12345678901234567890.10");
  assert.equal(await page.textContent("#server .copyable code"), "'a b' 'it'\\''s'");
  await registry.deregister("exact");
  await shows(page, "#server .notice", 1);
  await page.goto(`${registry.url}/#server=everything`);
  await shows(page, ".facts");
}

async function keyboard(registry) {
  const page = await tab(registry);
  await shows(page, "#rows tr");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  for (const wanted of ["home", "nav-servers", null, "q", "transport", "health"]) {
    await page.keyboard.press("Tab");
    const { id, outline } = await page.evaluate(() => ({ id: document.activeElement.id, outline: getComputedStyle(document.activeElement).outlineStyle }));
    if (wanted) assert.equal(id, wanted);
    assert.notEqual(outline, "none", `the focus on ${id} is seen`);
  }
  await page.keyboard.press("/");
  await page.keyboard.type("sequential thinking");
  await showsIds(page, ["thinking"]);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await shows(page, ".facts");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
  for (let steps = 0; await page.evaluate(() => document.activeElement.tagName !== "SUMMARY"); steps += 1) {
    assert(steps < 10, "a tool is reached with Tab");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await shows(page, ".item[open] pre");
  await page.keyboard.press("Escape");
  await showsIds(page, ["thinking"]);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), "#server=thinking");
  await page.keyboard.press("/");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.querySelectorAll("#rows tr").length > 3);
  assert.equal(new URL(page.url()).search, "");
  await close(page);
}

async function looks(registry) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await tab(registry, "/", { colorScheme });
    await shows(page, "#rows tr");
    await page.waitForFunction(() => document.querySelectorAll("#totals dd").length === 6);
    await sleep(500);
    await picture(page, `wide-${colorScheme}`);
    await accessible(page, `list, ${colorScheme}`);
    await page.click("#capability-menu summary");
    await accessible(page, `list with a menu, ${colorScheme}`);
    await page.goto(`${registry.url}/#server=everything`);
    await shows(page, ".facts");
    await page.locator(".item summary").first().click();
    await page.evaluate(() => scrollTo(0, 0));
    await sleep(200);
    await picture(page, `server-${colorScheme}`);
    await accessible(page, `one server, ${colorScheme}`);
    await page.goto(`${registry.url}/docs`);
    await shows(page, "#register");
    await picture(page, `docs-${colorScheme}`);
    await accessible(page, `API, ${colorScheme}`);
    await close(page);
  }
  const phone = await tab(registry, "/", { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
  await shows(phone, "#rows tr");
  await sleep(500);
  await fits(phone, "the list");
  await picture(phone, "phone");
  await accessible(phone, "list, phone");
  await phone.goto(`${registry.url}/#changes`);
  await shows(phone, "#changes li");
  await fits(phone, "the changes");
  await accessible(phone, "changes, phone");
  await phone.goto(`${registry.url}/#server=everything`);
  await shows(phone, ".facts");
  await phone.locator(".item summary").first().click();
  await fits(phone, "one server");
  await phone.evaluate(() => scrollTo(0, 0));
  await picture(phone, "phone-server");
  await phone.goto(`${registry.url}/docs`);
  await shows(phone, "#register");
  await phone.click("#register .trial summary");
  await shows(phone, "#register .try");
  await fits(phone, "the API page");
  await close(phone);
}

async function goneAndBack(page) {
  const { registry } = page;
  await page.goto(registry.url);
  await shows(page, "#rows tr");
  const before = await ids(page);
  expected = /net::ERR_/;
  await end(registry.process, "SIGKILL");
  await saysSo(page, "#banner", "does not answer", 4);
  assert.deepEqual(await ids(page), before, "what was known stays on the screen");
  await accessible(page, "registry gone");
  await registry.start();
  const back = Date.now();
  await page.waitForFunction(() => document.querySelector("#banner").textContent === "", null, { timeout: 8000 });
  console.log(`    the page was back ${Date.now() - back} ms after the registry`);
  expected = null;
  await showsIds(page, before);
  await registry.register({ id: "after", name: "after", transport: "stdio", command: ["after"], ttl: 600 });
  await saysSo(page, "#changes li", "after", 1);
  await registry.deregister("after");
}

async function apiPage(registry) {
  const page = await tab(registry, "/docs");
  await shows(page, "#find");
  const document = await registry.get("/openapi.json");
  const wanted = Object.values(document.paths).flatMap((item) => Object.values(item).map((operation) => operation.operationId)).sort();
  assert.deepEqual((await page.$$eval("article.operation", (all) => all.map(({ id }) => id))).sort(), wanted);
  const answer = async (id) => {
    await page.click(`#${id} .try button[type=submit]`);
    await page.waitForFunction((one) => document.querySelector(`#${one} .status`) && document.querySelector(`#${one} [data-answer]`).textContent, id);
    return { status: await page.textContent(`#${id} .status strong`), body: await page.textContent(`#${id} [data-answer]`) };
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
  assert.equal(JSON.parse((await answer("get")).body).id, id, "the examples fit together");
  await open("find");
  await page.check("#find [aria-label='Send tool']");
  const command = await page.textContent("#find .try pre code");
  const { status, body } = await answer("find");
  assert.equal(status, "200 OK");
  const curl = spawnSync("sh", ["-c", command.replace("curl -i", "curl -s --noproxy '*'")], { encoding: "utf8" });
  assert.deepEqual(JSON.parse(curl.stdout).servers.map((server) => server.id), JSON.parse(body).servers.map((server) => server.id), command);
  if (wanted.includes("watch")) {
    await open("watch");
    await page.click("#watch .try button[type=submit]");
    await saysSo(page, "#watch [data-answer]", "event: snapshot");
    await page.click("#watch .try button:has-text('Stop')");
    await saysSo(page, "#watch .output", "Stopped");
  }
  await open("deregister");
  await page.click("#deregister .try button[type=submit]");
  await saysSo(page, "#deregister .status", "204");
  await accessible(page, "API with forms and answers");
  await close(page);
}

async function token() {
  const registry = await Registry.make("token");
  await registry.register({ id: "secret", name: "secret", transport: "stdio", command: ["secret"], ttl: 600 });
  const made = spawnSync(BINARY, ["token", "create", "--database", registry.database, "--name", "viewer", "--role", "read"], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  const text = made.stdout.trim().split("\n").at(-1);
  await until(async () => (await fetch(`${registry.url}/v1/servers`)).status === 401, 5, "the registry asks for a token");

  expected = /status of 40[13]/;
  const page = await tab(registry);
  await shows(page, "#access form");
  await saysSo(page, "#access-title", "asks for a token");
  assert(!(await isVisible(page, "#servers-view")));
  await accessible(page, "token asked for");
  await page.fill("#access input", "paulina_wrong");
  await page.keyboard.press("Enter");
  await saysSo(page, "#access-title", "does not know that token");
  await page.fill("#access input", text);
  await page.keyboard.press("Enter");
  await showsIds(page, ["secret"]);
  await saysSo(page, "#connection", "live");
  assert.deepEqual(await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]), [[text], 0, ""]);
  assert(!page.url().includes(text));
  await page.reload();
  await showsIds(page, ["secret"]);
  await page.goto(`${registry.url}/docs`);
  await shows(page, "#stats");
  for (const [id, status] of [["stats", "200"], ["register", "403"]]) {
    await page.click(`#${id} .trial summary`);
    await page.click(`#${id} .try button[type=submit]`);
    await saysSo(page, `#${id} .status`, status);
  }
  assert(!(await page.textContent("#stats .try pre")).includes(text), "the command to copy does not hold the token");

  await page.goto(registry.url);
  await showsIds(page, ["secret"]);
  const revoked = spawnSync(BINARY, ["token", "create", "--database", registry.database, "--name", "other", "--role", "admin"], { encoding: "utf8" });
  assert.equal(revoked.status, 0);
  spawnSync(BINARY, ["token", "revoke", "--database", registry.database, "--name", "viewer"]);
  await page.reload();
  await shows(page, "#access form");
  await close(page);
  expected = null;
  await end(registry.process, "SIGKILL");
}

async function thousand() {
  const registry = await Registry.make("many");
  const server = (number) => ({
    id: `server-${number}`, name: `server-${number % 100}`, version: `1.${number}.0`, transport: number % 3 ? "stdio" : "streamable-http",
    ...(number % 3 ? { command: ["mcp-server", String(number)] } : { url: `http://host-${number}.example/mcp` }),
    description: "A server among many.", tags: [`team-${number % 20}`, number % 2 ? "local" : "remote"], ttl: 3600,
    capabilities: { tools: Array.from({ length: 14 }, (_, index) => ({ name: `tool_${number}_${index}`, description: "Reads the complete contents of a file from the file system, as text, in whichever encoding it has. ".repeat(2),
      inputSchema: { type: "object", properties: { path: { type: "string" } } } })) },
  });
  for (let first = 0; first < MANY; first += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => registry.register(server(first + index))));
  }
  const paints = [];
  let page;
  for (let round = 0; round < 5; round += 1) {
    if (page) await close(page);
    page = await tab(registry);
    await page.waitForFunction(() => window.rowsPainted);
    paints.push(await page.evaluate(() => [performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? window.rowsPainted, window.rowsPainted]));
  }
  await page.waitForFunction((many) => document.querySelectorAll("#rows tr").length === many, MANY, { timeout: 10_000 });
  const whole = await page.evaluate(() => performance.now());
  const list = (values) => values.map((value) => Math.round(value)).join(", ");
  console.log(`    ${MANY} servers: first paint after ${list(paints.map(([first]) => first))} ms, first rows after ${list(paints.map(([, rows]) => rows))} ms, all rows within ${Math.round(whole)} ms`);
  const median = paints.map(([, rows]) => rows).sort((a, b) => a - b)[2];
  assert(median < 1000, "the first rows are painted within 1 s");

  const delays = [];
  for (let round = 0; round < 20; round += 1) {
    delays.push(await delay(page, "#changes", `fresh-${round}.`, () => registry.register({ ...server(MANY), id: `fresh-${round}.` })));
  }
  delays.sort((a, b) => a - b);
  console.log(`    a change is seen after ${delays[10]} ms (median of 20), ${delays.at(-1)} ms at most`);
  assert(delays.at(-1) < 1000);

  const asked = Date.now();
  await page.fill("#q", "tool_777_3");
  await page.waitForFunction(() => document.querySelector("#rows .ident")?.textContent === "server-777");
  console.log(`    a search is answered on the screen after ${Date.now() - asked} ms, the best first`);
  await page.fill("#q", "");
  await page.waitForFunction((many) => document.querySelectorAll("#rows tr").length >= many, MANY);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await saysSo(page, "#rows tr:last-child .time-left", "min");
  await close(page);
  await end(registry.process, "SIGKILL");
}

async function check(name, run, ...args) {
  const began = Date.now();
  try {
    await run(...args);
    assert.deepEqual(complaints, [], "the browser has nothing to complain of");
  } catch (error) {
    if (SCREENSHOTS && args[0]?.screenshot) await picture(args[0], "failed").catch(() => {});
    console.error(`FAILED: ${name}`);
    throw error;
  }
  console.log(`  ${name}: ok (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

async function main() {
  assert(CHROMIUM, "no Chromium: install it, or name it with CHROMIUM");
  const flags = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  if (process.getuid() === 0) flags.push("--no-sandbox");
  browser = await chromium.launch({ executablePath: CHROMIUM, args: flags });
  console.log(`Chromium ${browser.version()}, axe ${require("axe-core/package.json").version}`);
  const registry = await Registry.make("real");
  await check("empty", empty, registry);
  const announced = await announceAll(registry);
  console.log(`  real servers: ${Object.keys(announced).join(", ")}`);
  const page = await tab(registry);
  await shows(page, "#rows tr");
  await check("what is shown equals the API", equalsTheApi, page);
  await check("leases run and are refreshed", leases, page);
  await check("servers come, change and go", comesAndGoes, page);
  await check("search and filters live in the address", addressHoldsTheView, page);
  await check("the page of one server", oneServer, page);
  await check("keyboard alone", keyboard, registry);
  await check("light, dark, phone", looks, registry);
  await check("API page", apiPage, registry);
  await check("gone and back", goneAndBack, page);
  await page.goto(registry.url);
  await shows(page, "#rows tr");
  await check("a real server ends", async () => {
    announced.memory.stdin.end();
    await announced.memory.exited;
    await page.waitForFunction(() => !document.querySelector("#rows").textContent.includes("#server=memory") && ![...document.querySelectorAll("#rows .ident")].some((one) => one.textContent === "memory"), null, { timeout: 1000 });
  });
  await close(page);
  await check("token", token);
  await check("a thousand servers", thousand);
  assert.deepEqual(complaints, []);
  console.log("pages: passed");
}

try {
  await main();
} catch (error) {
  console.error(error);
  for (const complaint of complaints) console.error(`  ${complaint}`);
  console.error(`see ${TEMPORARY}/output.log`);
  process.exitCode = 1;
} finally {
  await browser?.close();
  for (const child of processes) child.kill("SIGKILL");
  if (!process.exitCode) fs.rmSync(TEMPORARY, { recursive: true, force: true });
}
