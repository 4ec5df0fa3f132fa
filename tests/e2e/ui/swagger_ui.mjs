// The controls of the API page, which Swagger UI renders. The element id of an operation is
// `operations-TAG-OPERATIONID`.

import { shows, showsText } from "./browser.mjs";

/** Swagger UI is 1.7 MB of JavaScript, which takes seconds on a busy machine. */
const SECONDS = 20;

export const operation = (id) => `.opblock[id$="-${id}"]`;

export const showsOperations = (page) => shows(page, operation("register"), SECONDS);

/** Opens an operation and its form. */
export async function openForm(page, id) {
  await page.click(`${operation(id)} .opblock-summary-control`);
  await page.click(`${operation(id)} .try-out__btn`);
  await shows(page, `${operation(id)} .execute`);
}

/** Sends the request of an open form, waits for its status, and returns the text of the body. An earlier answer is cleared. */
export async function execute(page, id, status) {
  const answer = `${operation(id)} .live-responses-table .response`;
  const clear = page.locator(`${operation(id)} .btn-clear`);
  if (await clear.count()) await clear.click();
  await page.click(`${operation(id)} .execute`);
  await showsText(page, `${answer} .response-col_status`, status, SECONDS);
  const body = page.locator(`${answer} .highlight-code pre`);
  return (await body.count()) ? body.first().textContent() : "";
}

export const curlCommand = (page, id) => page.textContent(`${operation(id)} .curl-command pre`);

export async function openTokenDialog(page) {
  await page.click(".scheme-container .authorize");
  await shows(page, ".modal-ux");
}

/** Sets the token in the dialog. */
export async function authorize(page, text) {
  await openTokenDialog(page);
  await page.fill(".auth-container input", text);
  await page.click(".auth-btn-wrapper .authorize");
  await page.click(".auth-btn-wrapper .btn-done");
}
