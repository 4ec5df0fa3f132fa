// Keyboard navigation, color schemes, and small screens.

import assert from "node:assert/strict";
import { sleep } from "../harness.mjs";
import { checkAccessibility, close, fitsWidth, screenshot, shows, showsIds, openPage } from "./browser.mjs";
import { execute, openForm, openTokenDialog, operation, showsOperations } from "./swagger_ui.mjs";

/** Returns what the test needs to know about the focused element. */
const focused = (page) =>
  page.evaluate(() => {
    const { activeElement: element } = document;
    return {
      id: element.id,
      tagName: element.tagName,
      className: element.className,
      text: element.textContent,
      outline: getComputedStyle(element).outlineStyle,
      isInDialog: element.closest("[role=dialog]") !== null,
    };
  });

export async function keyboard(registry) {
  const page = await openPage(registry);
  await shows(page, "#rows tr");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  for (const wanted of ["home", "nav-servers", null, "q", "transport", "health"]) {
    await page.keyboard.press("Tab");
    const { id, outline } = await page.evaluate(() => ({
      id: document.activeElement.id,
      outline: getComputedStyle(document.activeElement).outlineStyle,
    }));
    if (wanted) assert.equal(id, wanted);
    assert.notEqual(outline, "none", `the focus on ${id} must be visible`);
  }
  await page.keyboard.press("/");
  await page.keyboard.type("sequential thinking");
  await showsIds(page, ["thinking"]);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await shows(page, ".facts");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
  for (let steps = 0; await page.evaluate(() => document.activeElement.tagName !== "SUMMARY"); steps += 1) {
    assert(steps < 10, "no tool is reached with Tab");
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

export async function colorSchemesAndPhone(registry) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await openPage(registry, "/", { colorScheme });
    await shows(page, "#rows tr");
    await page.waitForFunction(() => document.querySelectorAll("#totals dd").length === 6);
    await sleep(500);
    await screenshot(page, `wide-${colorScheme}`);
    await checkAccessibility(page, `list, ${colorScheme}`);
    await page.click("#capability-menu summary");
    await checkAccessibility(page, `list with a menu, ${colorScheme}`);
    await page.goto(`${registry.url}/#server=everything`);
    await shows(page, ".facts");
    await page.locator(".item summary").first().click();
    await page.evaluate(() => scrollTo(0, 0));
    await sleep(200);
    await screenshot(page, `server-${colorScheme}`);
    await checkAccessibility(page, `one server, ${colorScheme}`);
    await close(page);
  }
  const phone = await openPage(registry, "/", {
    viewport: { width: 360, height: 740 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
  });
  await shows(phone, "#rows tr");
  await sleep(500);
  await fitsWidth(phone, "the list");
  await screenshot(phone, "phone");
  await checkAccessibility(phone, "list, phone");
  await phone.goto(`${registry.url}/#changes`);
  await shows(phone, "#changes li");
  await fitsWidth(phone, "the changes");
  await checkAccessibility(phone, "changes, phone");
  await phone.goto(`${registry.url}/#server=everything`);
  await shows(phone, ".facts");
  await phone.locator(".item summary").first().click();
  await fitsWidth(phone, "one server");
  await phone.evaluate(() => scrollTo(0, 0));
  await screenshot(phone, "phone-server");
  await phone.goto(`${registry.url}/docs`);
  await showsOperations(phone);
  await openForm(phone, "register");
  await fitsWidth(phone, "the API page");
  await close(phone);
}

export async function apiPageKeyboard(registry) {
  const page = await openPage(registry, "/docs");
  await showsOperations(page);
  await page.keyboard.press("Tab");
  assert.equal((await focused(page)).className, "skip");
  await page.keyboard.press("Enter");
  assert.equal((await focused(page)).id, "main");
  const tabToButton = async (wanted) => {
    for (let steps = 0; ; steps += 1) {
      assert(steps < 50, `the button ${wanted} is not reached with Tab`);
      await page.keyboard.press("Tab");
      const { tagName, text, outline, className } = await focused(page);
      assert.notEqual(outline, "none", `the focus on ${className} must be visible`);
      if (tagName === "BUTTON" && text.includes(wanted)) return;
    }
  };
  await tabToButton("Authorize");
  await page.keyboard.press("Enter");
  await shows(page, "[role=dialog]");
  assert.equal((await focused(page)).tagName, "INPUT");
  for (const key of [...Array(5).fill("Tab"), ...Array(5).fill("Shift+Tab")]) {
    await page.keyboard.press(key);
    const { isInDialog, outline, className } = await focused(page);
    assert(isInDialog, `${key} leaves the dialog for ${className}`);
    assert.notEqual(outline, "none", `the focus on ${className} must be visible`);
  }
  await page.keyboard.press("Escape");
  await page.locator("[role=dialog]").waitFor({ state: "detached" });
  assert.match((await focused(page)).text, /Authorize/, "the focus must return to the button that opened the dialog");

  await tabToButton("/v1/stats");
  await page.keyboard.press("Enter");
  await shows(page, `${operation("stats")} .try-out__btn`);
  await tabToButton("Try it out");
  await page.keyboard.press("Enter");
  await tabToButton("Execute");
  await page.keyboard.press("Enter");
  await shows(page, `${operation("stats")} .live-responses-table`);
  assert.match(page.url(), /#\/discovery\/stats$/, "the URL must follow the open operation");
  await page.reload();
  await shows(page, `${operation("stats")}.is-open`, 20);
  await close(page);
}

export async function apiPageColorSchemesAndPhone(registry) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, options] of Object.entries({
      wide: {},
      phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
    })) {
      const page = await openPage(registry, "/docs", { colorScheme, ...options });
      const check = async (what) => {
        await screenshot(page, `docs-${name}-${colorScheme}-${what.replaceAll(" ", "-")}`);
        await fitsWidth(page, `the API page, ${what}, ${name}`);
        await checkAccessibility(page, `API, ${what}, ${name}, ${colorScheme}`);
      };
      await showsOperations(page);
      await check("operations");
      await openTokenDialog(page);
      await check("token dialog");
      await page.keyboard.press("Escape");
      await openForm(page, "find");
      await execute(page, "find", "200");
      await page.click(`${operation("register")} .opblock-summary-control`);
      await page.click(`${operation("register")} .opblock-section-request-body button:has-text("Schema")`);
      await page.click(".models-control");
      await shows(page, ".models .json-schema-2020-12");
      await check("answer and schemas");
      await close(page);
    }
  }
}
