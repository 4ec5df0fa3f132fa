// The OpenAPI document as a page: operations by tag, each with an address of its own and a form to try it.

import { open } from "./api.js";
import { $, copyable, fill, fold, h, pretty } from "./dom.js";
import { prose, Schemas } from "./schema.js";
import { tokenForm } from "./token.js";
import { tryForm } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

async function load() {
  try {
    const response = await open("openapi.json");
    show(await response.json());
  } catch (error) {
    fill($("content"), h("p", { class: "error", role: "alert", text: `The registry does not answer: ${error.message}` }),
      h("button", { type: "button", onclick: load, text: "Try again" }));
  }
}

function show(document_) {
  const schemas = new Schemas(document_);
  const operations = Object.entries(document_.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, operation: item[method], shared: item.parameters ?? [] })));
  for (const one of operations) one.operation.parameters = [...one.shared, ...(one.operation.parameters ?? [])].map((parameter) => schemas.resolve(parameter));
  const names = [...new Set([...(document_.tags ?? []).map(({ name }) => name), ...operations.flatMap(({ operation }) => operation.tags ?? [])])];
  const groups = names.map((name) => ({
    name,
    description: document_.tags?.find((tag) => tag.name === name)?.description,
    operations: operations.filter(({ operation }) => (operation.tags ?? [])[0] === name),
  })).filter((group) => group.operations.length);

  $("title").textContent = `${document_.info.title} API ${document_.info.version}`;
  fill($("contents"),
    h("ul", {}, groups.map((group) => h("li", {}, h("span", { class: "group", text: group.name }),
      h("ul", {}, group.operations.map(({ method, path, operation }) => h("li", {},
        h("a", { href: `#${operation.operationId}` }, verb(method), " ", h("span", { class: "path", text: path }))))))),
    h("li", {}, h("a", { href: "#problems", text: "Problems" }))));
  fill($("content"),
    prose(document_.info.description ?? ""),
    access(document_),
    groups.map((group) => h("section", { class: "tag-group" },
      h("h2", { id: `tag-${group.name}`, text: group.name }), group.description ? prose(group.description) : null,
      group.operations.map((one) => article(one, schemas)))),
    problems(operations, document_));
  goTo();
}

const verb = (method) => h("span", { class: `verb ${method}`, text: method.toUpperCase() });

function access(document_) {
  const scheme = Object.values(document_.components?.securitySchemes ?? {})[0];
  if (!scheme) return null;
  return h("section", { class: "access" }, h("h2", { text: "Token" }), prose(scheme.description ?? ""),
    tokenForm(() => document.dispatchEvent(new Event("token"))));
}

function article({ method, path, operation }, schemas) {
  const id = operation.operationId;
  const title = operation.summary ?? "";
  const media = operation.requestBody?.content?.["application/json"];
  const body = media && (media.example ?? Object.values(media.examples ?? {})[0]?.value ?? schemas.example(media.schema) ?? {});
  return h("article", { class: "operation", id, tabindex: "-1", "aria-labelledby": `${id}-title` },
    h("h3", { id: `${id}-title` }, verb(method), " ", h("code", { class: "path", text: path }), " ",
      h("a", { class: "anchor", href: `#${id}` }, "#", h("span", { class: "visually-hidden", text: id }))),
    title ? h("p", { class: "summary" }, prose(title)[0].childNodes.length ? [...prose(title)[0].childNodes] : title) : null,
    operation.description ? prose(operation.description) : null,
    operation.security ? h("p", { class: "muted small", text: "Needs a token as soon as this registry has one." }) : null,
    parameters(operation.parameters, schemas),
    media ? [h("h4", { text: "Body" }), fold("Schema", () => schemas.view(media.schema)), fold("Example", () => copyable(pretty(body), "the example body"))] : null,
    responses(operation.responses, schemas),
    h("div", { class: "trial" }, fold("Try it", () => tryForm({ method, path, operation, schemas, body: media ? body : undefined }))));
}

function parameters(list, schemas) {
  if (list.length === 0) return null;
  return [h("h4", { text: "Parameters" }), h("ul", { class: "members" }, list.map((parameter) => {
    const schema = schemas.resolve(parameter.schema);
    const { description: own, example: _, ...rest } = schema;
    const line = schemas.line(rest);
    if (parameter.example !== undefined) line.append(h("span", { class: "limit" }, "for example ", h("code", { text: String(parameter.example) })));
    return h("li", {},
      h("p", { class: "member" }, h("code", { class: "definition", text: parameter.name }), h("span", { class: "muted", text: ` ${parameter.in}` }),
        parameter.required ? h("span", { class: "required", text: " required" }) : null),
      h("div", {}, line, parameter.description || own ? prose(parameter.description ?? own) : null));
  }))];
}

function responses(all, schemas) {
  const entries = Object.entries(all ?? {}).map(([status, response]) => [status, schemas.resolve(response)]);
  return [h("h4", { text: "Responses" }), h("ul", { class: "responses" }, entries.map(([status, response]) => {
    const contents = Object.entries(response.content ?? {});
    const headers = Object.entries(response.headers ?? {});
    const summary = [h("code", { class: "definition", text: status }), " ", ...prose(response.description ?? "").flatMap((one) => [...one.childNodes])];
    if (contents.length === 0 && headers.length === 0) return h("li", { class: "plain" }, summary);
    return h("li", {}, fold(summary, () => [
      headers.map(([name, header]) => h("p", { class: "type" }, "Header ", h("code", { text: name }), header.description ? `: ${header.description}` : "")),
      contents.map(([type, media]) => [
        h("p", { class: "type" }, h("code", { text: type })),
        media.schema ? fold("Schema", () => schemas.view(media.schema)) : null,
        examples(media).map(([name, value]) => fold(name, () => copyable(typeof value === "string" ? value : pretty(value), "the example"))),
      ]),
    ]));
  }))];
}

function examples(media) {
  if (media.example !== undefined) return [["Example", media.example]];
  return Object.entries(media.examples ?? {}).map(([name, example]) => [`Example: ${name}`, example.value]);
}

/** Each code once, with where it can come from; some come from what is no operation at all. */
function problems(operations, document_) {
  const codes = new Map();
  for (const { operation } of operations) {
    for (const response of Object.values(operation.responses ?? {})) {
      for (const { value } of Object.values(response.content?.["application/problem+json"]?.examples ?? {})) {
        if (!value?.code) continue;
        if (!codes.has(value.code)) codes.set(value.code, { ...value, from: [] });
        codes.get(value.code).from.push(operation.operationId);
      }
    }
  }
  for (const code of document_.components?.schemas?.Code?.enum ?? []) {
    const title = code.charAt(0).toUpperCase() + code.slice(1).replaceAll("_", " ");
    if (!codes.has(code)) codes.set(code, { code, status: "", title, from: [] });
  }
  const rows = [...codes.values()].sort((a, b) => a.status - b.status || a.code.localeCompare(b.code)).map(({ code, status, title, from }) =>
    h("tr", {}, h("td", {}, h("code", { text: code })), h("td", { text: status }), h("td", { text: title }),
      h("td", {}, from.length === operations.length ? "every operation" : from.length === 0 ? "what is no operation" : from.flatMap((id, index) => [index ? ", " : "", h("a", { href: `#${id}`, text: id })]))));
  return h("section", { id: "problems", tabindex: "-1" }, h("h2", { text: "Problems" }),
    prose("An error is `application/problem+json`, with a stable `code`; `errors` names each thing that is wrong with a body."),
    h("div", { class: "wide", role: "region", "aria-label": "Problems", tabindex: "0" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Code", "Status", "When", "From"].map((name) => h("th", { scope: "col", text: name })))),
      h("tbody", {}, rows))));
}

function goTo() {
  const target = location.hash.length > 1 && $(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  target.scrollIntoView();
  target.focus({ preventScroll: true });
}

addEventListener("hashchange", goTo);
load();
