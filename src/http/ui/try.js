// "Try it": a form for one operation that sends the request from this page and shows all that comes back.

import { headers as withToken } from "./api.js";
import { copyButton, fill, h, parseExactly, pretty, put } from "./dom.js";
import { curl, request } from "./request.js";
import { EventParser } from "./stream.js";

const SHOWN = 200_000;
const SHOWN_EVENTS = 20;

export function tryForm({ method, path, operation, schemas, body }) {
  const isStream = Object.values(operation.responses ?? {}).some((response) => response.content?.["text/event-stream"]);
  const fields = (operation.parameters ?? []).map((parameter) => field(parameter, schemas, operation.operationId));
  const text = body === undefined ? null : h("textarea", { rows: Math.min(20, pretty(body).split("\n").length), spellcheck: "false" });
  if (text) text.value = pretty(body);

  const command = h("code");
  const output = h("div", { class: "output", "aria-live": "polite" });
  const send = h("button", { type: "submit", class: "primary", text: "Send" });
  const stop = h("button", { type: "button", text: "Stop", hidden: true });
  let abort = null;

  const current = () => request(method, path, fields.map((one) => one.read()), text ? text.value : null);
  const redraw = () => put(command, curl(current(), isStream));
  const submit = async (event) => {
    event.preventDefault();
    abort?.abort();
    abort = new AbortController();
    stop.hidden = !isStream;
    try {
      await run(current(), output, abort.signal);
    } finally {
      stop.hidden = true;
    }
  };
  stop.addEventListener("click", () => abort?.abort());

  const form = h("form", { class: "try", onsubmit: submit, oninput: redraw, onchange: redraw },
    method === "get" ? null : h("p", { class: "caution", text: "This changes what is registered." }),
    fields.length ? h("div", { class: "fields" }, fields.map((one) => one.element)) : null,
    text ? h("label", { class: "body" }, "Body", text) : null,
    h("div", { class: "buttons" }, send, stop),
    h("div", { class: "copyable" }, h("pre", {}, command), copyButton(() => curl(current(), isStream), "the curl command")),
    output);
  redraw();
  document.addEventListener("token", redraw);
  return form;
}

/** What is required is filled in and sent; what is not is filled in too, and sent once it is ticked or touched. */
function field(parameter, schemas, operationId) {
  const schema = schemas.resolve(parameter.schema);
  const isList = [schema.type].flat().includes("array");
  const example = parameter.example ?? schema.example ?? schema.default ?? "";
  const id = `try-${operationId}-${parameter.in}-${parameter.name}`;
  const choices = schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : null);
  const input = choices
    ? h("select", { id }, choices.map((choice) => h("option", { text: String(choice), selected: choice === example })))
    : isList ? h("textarea", { id, rows: 1, spellcheck: "false" }) : h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", required: parameter.required });
  if (!choices) input.value = [example].flat().join("\n");
  const use = parameter.required ? null : h("input", { type: "checkbox", "aria-label": `Send ${parameter.name}` });
  if (use) input.addEventListener("input", () => {
    use.checked = true;
  });
  const read = () => {
    const values = use && !use.checked ? [] : isList ? input.value.split("\n").filter(Boolean) : [input.value];
    return { name: parameter.name, in: parameter.in, values };
  };
  const label = h("label", { for: id }, h("code", { text: parameter.name }), h("span", { class: "muted", text: isList ? " one a line" : "" }));
  return { read, element: h("div", { class: "field" }, use ?? h("span", { class: "muted small", text: "•", "aria-hidden": "true" }), label, input) };
}

async function run({ method, address, headers, body }, output, signal) {
  fill(output, h("p", { class: "muted", text: "Waiting for the answer…" }));
  const began = performance.now();
  const took = () => `${(performance.now() - began).toFixed(1)} ms`;
  try {
    const response = await fetch(address, { method, headers: withToken(headers), body: body ?? undefined, cache: "no-store", signal });
    const status = h("p", { class: "status" }, h("strong", { class: response.ok ? "good" : response.status >= 400 ? "error" : "", text: `${response.status} ${response.statusText}`.trim() }));
    const time = h("span", { class: "muted", text: ` after ${took()}` });
    status.append(time);
    const names = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const head = h("details", {}, h("summary", { text: "Headers" }), h("pre", {}, h("code", { text: names })));
    const code = h("code", { "data-answer": "" });
    fill(output, status, head, h("pre", { role: "group", tabindex: "0", "aria-label": "Body of the answer" }, code));
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) await stream(response, code, time, took);
    else {
      const text = await response.text();
      put(time, ` after ${took()}`);
      put(code, shown(text, response.headers.get("content-type") ?? ""));
    }
  } catch (error) {
    if (signal.aborted) output.append(h("p", { class: "muted", text: `Stopped after ${took()}.` }));
    else fill(output, h("p", { class: "error", text: `No answer: ${error.message}` }));
  }
}

function shown(text, type) {
  if (!text) return "(no body)";
  let whole = text;
  if (/[/+]json\b/.test(type)) {
    try {
      whole = pretty(parseExactly(text));
    } catch {
      // It says that it is JSON, and is not: as it came.
    }
  }
  return whole.length > SHOWN ? `${whole.slice(0, SHOWN)}\n… and ${whole.length - SHOWN} characters more` : whole;
}

async function stream(response, code, time, took) {
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let count = 0;
  try {
    while (count < SHOWN_EVENTS) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const { event, data, id } of parser.push(value)) {
        count += 1;
        code.append(`event: ${event}\nid: ${id ?? ""}\ndata: ${shown(data, "application/json")}\n\n`);
      }
      put(time, ` ${count} events in ${took()}`);
    }
    code.append(count < SHOWN_EVENTS ? "(the stream ended)" : `(stopped after ${count} events)`);
  } finally {
    reader.cancel().catch(() => {});
  }
}
