// Keyboard navigation, color schemes, and small screens.

import assert from "node:assert/strict";
import { sleep } from "../harness.mjs";
import { checkAccessibility, close, fitsWidth, screenshot, shows, showsIds, openPage } from "./browser.mjs";

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
    await page.goto(`${registry.url}/docs`);
    await shows(page, "#register");
    await screenshot(page, `docs-${colorScheme}`);
    await checkAccessibility(page, `API, ${colorScheme}`);
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
  await shows(phone, "#register");
  await phone.click("#register .trial summary");
  await shows(phone, "#register .try");
  await fitsWidth(phone, "the API page");
  await close(phone);
}
