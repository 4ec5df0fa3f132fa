// Headless Chromium: opens pages, collects their errors, and waits for what they show.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { WORK } from "../harness.mjs";

export const CHROMIUM =
  process.env.CHROMIUM ??
  ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) => fs.existsSync(file));
export const SCREENSHOTS = process.env.SCREENSHOTS;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];

const require = createRequire(path.join(WORK, "package.json"));
const { chromium } = require("playwright-core");
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

let browser;
/** Errors of all pages, and a pattern for errors that the current test expects. */
export const errors = { found: [], expected: null };

export async function launch() {
  assert(CHROMIUM, "Chromium is missing: install it, or set CHROMIUM to its path");
  const flags = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  if (process.getuid() === 0) flags.push("--no-sandbox");
  browser = await chromium.launch({ executablePath: CHROMIUM, args: flags });
  console.log(`Chromium ${browser.version()}, axe ${require("axe-core/package.json").version}`);
}

export const closeBrowser = () => browser?.close();

/** Opens a page, and records every error, request to another origin, and policy violation. */
export async function openPage(registry, address = "/", options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    ...options,
  });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: registry.url });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`),
    );
    new MutationObserver((_, observer) => {
      if (!document.querySelector("#rows tr")) return;
      observer.disconnect();
      requestAnimationFrame(() =>
        setTimeout(() => {
          window.rowsPainted = performance.now();
        }),
      );
    }).observe(document, { childList: true, subtree: true });
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type()) || errors.expected?.test(message.text())) return;
    // The page may request a server once more that has just been deregistered.
    if (/status of 404/.test(message.text()) && /\/v1\/servers\/[^/]+/.test(message.location().url)) return;
    errors.found.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => errors.found.push(`uncaught: ${error.stack}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== registry.url)
      errors.found.push(`a request to another origin: ${request.url()}`);
  });
  await page.goto(registry.url + address);
  page.registry = registry;
  return page;
}

export async function close(page) {
  errors.found.push(
    ...(await page.evaluate(() => window.violations)).map((violation) => `policy violation: ${violation}`),
  );
  await page.context().close();
}

export const isVisible = (page, selector) => page.locator(selector).isVisible();

export const shows = (page, selector, seconds = 5) =>
  page
    .locator(selector)
    .first()
    .waitFor({ state: "visible", timeout: seconds * 1000 });

export const showsText = (page, selector, text, seconds = 5) =>
  page.waitForFunction(([where, what]) => document.querySelector(where)?.textContent.includes(what), [selector, text], {
    timeout: seconds * 1000,
  });

export const ids = (page) => page.$$eval("#rows .ident", (all) => all.map((one) => one.textContent));

export const showsIds = (page, wanted, seconds = 5) =>
  page.waitForFunction(
    (all) =>
      String([...document.querySelectorAll("#rows .ident")].map((one) => one.textContent).sort()) === String(all),
    [...wanted].sort(),
    { timeout: seconds * 1000 },
  );

export async function fitsWidth(page, what) {
  // Not `innerWidth`: a phone zooms out until everything fitsWidth.
  const { width } = page.viewportSize();
  const content = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, innerWidth));
  assert(content <= width, `${what} scrolls sideways: ${content} px in ${width} px`);
}

export async function checkAccessibility(page, what) {
  await page.evaluate(AXE);
  const { violations, passes, incomplete } = await page.evaluate(
    (rules) => window.axe.run(document, { runOnly: rules }),
    RULES,
  );
  const lines = violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`,
  );
  assert.deepEqual(lines, [], `axe on ${what}`);
  const elements = passes.reduce((sum, { nodes }) => sum + nodes.length, 0);
  const unsure = incomplete.length
    ? `, ${incomplete.length} for manual review (${incomplete.map(({ id }) => id).join(", ")})`
    : "";
  console.log(`    axe, ${what}: ${passes.length} rules on ${elements} elements, no violation${unsure}`);
}

export async function screenshot(page, name, fullPage = false) {
  if (!SCREENSHOTS) return;
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage });
}

/** Returns the milliseconds from the start of `act` until the page shows `text` in `selector`. */
export async function delay(page, selector, text, act) {
  const seen = page.evaluate(
    ([where, what]) =>
      new Promise((resolve) => {
        const look = () =>
          document.querySelector(where)?.textContent.includes(what) &&
          (observer.disconnect(), requestAnimationFrame(() => resolve(Date.now())), true);
        const observer = new MutationObserver(look);
        if (!look()) observer.observe(document.body, { childList: true, subtree: true, characterData: true });
      }),
    [selector, text],
  );
  const began = Date.now();
  await act();
  return (await seen) - began;
}
