// Creating elements. Data of servers enters the page as text, never as markup: innerHTML is not used, and a URL becomes a link only
// if it is http or https.

/** An element with attributes, listeners (`onclick`), properties of the same name as `text` and `class`, and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  if (children.length) fill(element, children);
  return element;
}

/** Replaces the children of an element; null and false are skipped. */
export function fill(element, ...children) {
  const some = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...some);
}

export const $ = (id) => document.getElementById(id);

/** Sets the text of an element if it differs: an unchanged node costs no layout. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function link(address, text = address) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") return h("span", { text });
  return h("a", { href: url.href, rel: "noreferrer noopener", target: "_blank", text });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // The clipboard API requires a secure context, which a registry over plain HTTP is not.
    const area = h("textarea", { "aria-hidden": "true", class: "visually-hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("the browser cannot copy");
  }
}

/** A button that copies the result of `text()` and announces it. `what` names the text for screen readers. */
export function copyButton(text, what) {
  const word = h("span", { text: "Copy" });
  const button = h("button", { type: "button" }, word, h("span", { class: "visually-hidden", text: ` ${what}` }));
  const said = h("span", { role: "status", class: "visually-hidden" });
  button.addEventListener("click", async () => {
    const outcome = await copy(text()).then(() => "Copied", () => "Not copied");
    button.focus();
    put(word, outcome);
    put(said, `${outcome}: ${what}`);
    setTimeout(() => {
      put(word, "Copy");
      put(said, "");
    }, 2000);
  });
  return [button, said];
}

/** A line of text with a button to copy it. */
export function copyable(text, what) {
  return h("div", { class: "copyable" }, h("pre", {}, h("code", { text })), copyButton(() => text, what));
}

/** Quotes a word for a POSIX shell if necessary. */
export function shell(word) {
  return /^[A-Za-z0-9_\-./:=@%+,]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Parses JSON without loss: a number that JavaScript would round keeps its original text. */
export function parseExactly(text) {
  return JSON.parse(text, (_, value, context) => {
    const source = context?.source;
    return typeof value === "number" && source && String(value) !== source && JSON.rawJSON ? JSON.rawJSON(source) : value;
  });
}

export const pretty = (value) => JSON.stringify(value, null, 2);

/** A collapsible element whose content is created when it is first opened. */
export function fold(summary, content, attributes = {}) {
  const details = h("details", attributes, h("summary", {}, summary));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(h("div", { class: "folded" }, content()));
  });
  return details;
}

const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const clock = new Intl.DateTimeFormat(undefined, TIME);
const calendar = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", ...TIME });

/** A `time` element with the time of day, and with the date if it is not today. */
export function moment(text) {
  const date = new Date(text);
  const today = date.toDateString() === new Date().toDateString();
  return h("time", { datetime: text, title: calendar.format(date), text: (today ? clock : calendar).format(date) });
}

const numbers = new Intl.NumberFormat();
export const count = (number) => numbers.format(number);
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Formats a duration in at most two units: `21 s`, `4 min 05 s`, `3 h 20 min`. */
export function duration(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}
