// Creating elements. Data of servers enters the page as text, never as markup: innerHTML is not used, and a URL becomes a link only
// if it is http or https.

/** Creates an element. The attribute `text` is its text content; attributes such as `onclick` are listeners. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  if (children.length) setChildren(element, children);
  return element;
}

/** Replaces the children of an element; null and false are skipped. */
export function setChildren(element, ...children) {
  const nodes = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...nodes);
}

export const $ = (id) => document.getElementById(id);

/** Sets the text of an element if it differs: an unchanged node costs no layout. */
export function setText(element, text) {
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
    const textarea = h("textarea", { "aria-hidden": "true", class: "visually-hidden" });
    textarea.value = text;
    document.body.append(textarea);
    textarea.select();
    const isCopied = document.execCommand("copy");
    textarea.remove();
    if (!isCopied) throw new Error("the browser cannot copy");
  }
}

/** Creates a button that copies the result of `text()` and announces it. `name` names the text for screen readers. */
export function copyButton(text, name) {
  const label = h("span", { text: "Copy" });
  const button = h("button", { type: "button" }, label, h("span", { class: "visually-hidden", text: ` ${name}` }));
  const status = h("span", { role: "status", class: "visually-hidden" });
  button.addEventListener("click", async () => {
    const outcome = await copy(text()).then(() => "Copied", () => "Not copied");
    button.focus();
    setText(label, outcome);
    setText(status, `${outcome}: ${name}`);
    setTimeout(() => {
      setText(label, "Copy");
      setText(status, "");
    }, 2000);
  });
  return [button, status];
}

/** Creates a line of text with a button to copy it. */
export function copyable(text, name) {
  return h("div", { class: "copyable" }, h("pre", {}, h("code", { text })), copyButton(() => text, name));
}

/** Quotes a word for a POSIX shell if necessary. */
export function shellQuote(word) {
  return /^[A-Za-z0-9_\-./:=@%+,]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Parses JSON without loss: a number that JavaScript would round keeps its original text. */
export function parseLossless(text) {
  return JSON.parse(text, (_, value, context) => {
    const source = context?.source;
    return typeof value === "number" && source && String(value) !== source && JSON.rawJSON ? JSON.rawJSON(source) : value;
  });
}

export const prettyJson = (value) => JSON.stringify(value, null, 2);

/** Creates a collapsible element whose content is created when it is first opened. */
export function collapsible(summary, content, attributes = {}) {
  const details = h("details", attributes, h("summary", {}, summary));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(h("div", { class: "folded" }, content()));
  });
  return details;
}

const TIME_OPTIONS = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const timeFormat = new Intl.DateTimeFormat(undefined, TIME_OPTIONS);
const dateTimeFormat = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", ...TIME_OPTIONS });

/** Creates a `time` element with the time of day, and with the date if it is not today. */
export function timeElement(timestamp) {
  const date = new Date(timestamp);
  const isToday = date.toDateString() === new Date().toDateString();
  return h("time", { datetime: timestamp, title: dateTimeFormat.format(date), text: (isToday ? timeFormat : dateTimeFormat).format(date) });
}

const numberFormat = new Intl.NumberFormat();
export const formatNumber = (number) => numberFormat.format(number);
export const formatCount = (number, noun) => `${formatNumber(number)} ${number === 1 ? noun : `${noun}s`}`;

/** Formats a duration in at most two units: `21 s`, `4 min 05 s`, `3 h 20 min`. */
export function formatDuration(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const twoDigits = (number) => String(number).padStart(2, "0");
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${twoDigits(Math.floor((seconds % 3600) / 60))} min`;
}
