// The page of one server: its whole record. Definitions are collapsed, and rendered when they are expanded, since they can amount
// to megabytes.

import { ConditionalRequest, Problem, Unreachable } from "./api.js";
import { changeItem } from "./changes.js";
import {
  collapsible, copyable, copyButton, formatDuration, h, link, parseLossless, prettyJson, setChildren, setText, shellQuote, timeElement,
} from "./dom.js";

const RECENT_CHANGE_LIMIT = 20;
const COLLAPSE_LENGTH = 600;
const DEFINITION_LISTS = ["tools", "resources", "prompts"];
const TOOL_TEXT_FIELDS = ["name", "title", "description"];

export class Detail {
  /** The id of the displayed server. */
  id = null;

  #root;
  #store;
  #request = null;
  #abort = null;
  #elements = null;
  #expanded = new Set();

  constructor(root, store) {
    this.#root = root;
    this.#store = store;
  }

  open(id) {
    this.close();
    this.id = id;
    this.#expanded.clear();
    this.#store.leases.setVisible(id, true);
    const known = this.#store.servers.get(id);
    this.#showMessage(known?.name ?? id, "Loading…");
    this.load();
  }

  close() {
    if (this.id === null) return;
    this.#abort?.abort();
    this.#store.leases.setVisible(this.id, false);
    this.id = null;
    this.#request = null;
    this.#elements = null;
    this.#root.replaceChildren();
  }

  /** Fetches the record, and renders it if it has changed. */
  async load() {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const id = this.id;
    this.#request ??= new ConditionalRequest(`v1/servers/${encodeURIComponent(id)}`);
    try {
      const text = await this.#request.send(abort.signal);
      if (text !== null) this.#render(parseLossless(text));
      this.#setDeregistered(false);
      this.tick();
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error instanceof Problem && error.status === 404) {
        // Keep the last known record on the screen.
        if (this.#elements) this.#setDeregistered(true);
        else this.#showMessage(id, "No server is registered with this id. It appears here as soon as one is registered.");
        this.#request = null;
      } else if (error instanceof Problem) {
        this.#showMessage(id, error.message);
      } else if (!(error instanceof Unreachable)) {
        throw error;
      }
    }
  }

  #showMessage(title, text) {
    this.#elements = null;
    this.#root.replaceChildren(this.#heading(title), h("p", { class: "muted", role: "status", text }));
  }

  /** Updates health and lease. */
  tick() {
    if (!this.#elements || this.#elements.isDeregistered) return;
    const server = this.#store.servers.get(this.id);
    const health = server?.health ?? this.#elements.health;
    const remaining = health === "healthy" ? this.#store.leases.remaining(this.id) : null;
    setText(this.#elements.health, health);
    this.#elements.health.className = `health ${health}`;
    setText(this.#elements.lease, remaining ? `${formatDuration(remaining.ms)} left` : "expired");
  }

  #setDeregistered(isDeregistered) {
    if (!this.#elements) return;
    this.#elements.isDeregistered = isDeregistered;
    this.#elements.notice.hidden = !isDeregistered;
    if (isDeregistered) {
      setText(this.#elements.health, "not registered");
      this.#elements.health.className = "health unhealthy";
      setText(this.#elements.lease, "ended");
    }
  }

  showChanges() {
    if (!this.#elements) return;
    const changes = this.#store.changes.filter((change) => change.id === this.id).slice(0, RECENT_CHANGE_LIMIT);
    this.#elements.changes.replaceChildren(...changes.map((change) => changeItem(change, false)));
    this.#elements.noChanges.hidden = changes.length > 0;
  }

  #heading(title) {
    return h("h1", { id: "server-title", tabindex: "-1", text: title });
  }

  #render(server) {
    const elements = {
      health: h("span", { class: "health" }),
      lease: h("span", { class: "time-left" }),
      changes: h("ol", { class: "changes" }),
      noChanges: h("p", { class: "muted", text: "None since this page was opened." }),
      notice: h("p", { class: "notice", role: "status", hidden: true, text: "This server is no longer registered. This is its last known record." }),
      isDeregistered: false,
    };
    if (!this.#store.servers.has(server.id)) this.#store.leases.set(server);
    const hadFocus = this.#root.contains(document.activeElement);
    this.#elements = elements;
    const heading = this.#heading(server.name);
    setChildren(this.#root,
      heading,
      elements.notice,
      server.title && server.title !== server.name && h("p", { class: "subtitle", text: server.title }),
      facts(server, elements),
      server.description && section("Description", description(server.description)),
      section("Connection", connection(server)),
      section(`Tools (${server.capabilities.tools.length})`, this.#definitions(server.capabilities.tools, "tool", toolContent)),
      section(`Resources (${server.capabilities.resources.length})`, this.#definitions(server.capabilities.resources, "resource", resourceContent)),
      section(`Prompts (${server.capabilities.prompts.length})`, this.#definitions(server.capabilities.prompts, "prompt", promptContent)),
      section("Other capabilities", otherCapabilities(server.capabilities)),
      section("Metadata", metadata(server.metadata)),
      section("Recent changes", [elements.noChanges, elements.changes]),
      section("Record", collapsible("As JSON", () => jsonBlock(server))));
    this.showChanges();
    if (hadFocus) heading.focus({ preventScroll: true });
  }

  #definitions(items, kind, content) {
    if (items.length === 0) return h("p", { class: "muted", text: "None." });
    const listItems = items.map((item) => {
      const name = definitionName(item);
      const key = `${kind} ${name}`;
      const title = item.title ?? (item.uri || item.uri_template ? item.name : null);
      const firstLine = typeof item.description === "string" ? item.description.split("\n", 1)[0] : "";
      const summary = [h("code", { class: "definition", text: name }),
        title && title !== name ? h("span", { class: "title", text: ` ${title}` }) : null,
        firstLine ? h("span", { class: "muted line", text: firstLine }) : null];
      const details = collapsible(summary, () => content(item), { class: "item", open: this.#expanded.has(key) });
      details.addEventListener("toggle", () => this.#expanded[details.open ? "add" : "delete"](key));
      return h("li", {}, details);
    });
    return h("ul", { class: "items" }, listItems);
  }
}

const definitionName = (item) => item.uri ?? item.uri_template ?? item.name;
const section = (title, content) => h("section", {}, h("h2", { text: title }), content);
const jsonBlock = (value) => h("div", { class: "copyable" }, h("pre", {}, h("code", { text: prettyJson(value) })), copyButton(() => prettyJson(value), "the JSON"));
const labeledJson = (label, value) => [h("h3", { class: "label", text: label }), jsonBlock(value)];
const paragraph = (value) => (typeof value === "string" && value ? h("p", { class: "prose", text: value }) : null);

/** Collapses long descriptions: some servers register pages of instructions. */
function description(text) {
  return text.length <= COLLAPSE_LENGTH ? paragraph(text) : collapsible(text.split("\n", 1)[0], () => paragraph(text));
}

function facts(server, elements) {
  const rows = [
    ["Health", elements.health],
    ["Lease", [elements.lease, h("span", { class: "muted", text: ` of ${formatDuration(server.ttl * 1000)}` })]],
    ["Transport", server.transport],
    ["Version", server.version],
    ["Id", h("span", { class: "mono", text: server.id })],
    ["Owner", server.owner],
    ["Tags", server.tags.length ? h("ul", { class: "tags" }, server.tags.map((tag) => h("li", {}, h("span", { class: "tag", text: tag })))) : null],
    ["Registered", timeElement(server.registered_at)],
    ["Updated", timeElement(server.updated_at)],
  ];
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([term, value]) => h("div", {}, h("dt", { text: term }), h("dd", {}, value))));
}

function connection(server) {
  const inputs = server.transport === "stdio" ? server.environment : server.headers;
  const target = server.command
    ? copyable(server.command.map(shellQuote).join(" "), "the command")
    : h("div", { class: "copyable" }, h("p", { class: "address mono" }, link(server.url)), copyButton(() => server.url, "the address"));
  if (inputs.length === 0) return target;
  const inputsTitle = server.transport === "stdio" ? "Environment variables" : "Headers";
  const entries = inputs.map((input) => {
    const notes = [input.required ? "required" : "optional", input.secret ? "secret" : null].filter(Boolean).join(", ");
    return h("div", {}, h("dt", {}, h("code", { text: input.name }), h("span", { class: "muted", text: ` ${notes}` })), h("dd", { text: input.description ?? "" }));
  });
  return [target, h("h3", { class: "label", text: inputsTitle }), h("dl", { class: "pairs" }, entries)];
}

function metadata(object) {
  const entries = Object.entries(object);
  if (entries.length === 0) return h("p", { class: "muted", text: "None." });
  return h("dl", { class: "pairs" }, entries.map(([key, value]) => h("div", {}, h("dt", {}, h("code", { text: key })), h("dd", { text: value }))));
}

function otherCapabilities(capabilities) {
  const entries = Object.entries(capabilities).filter(([name]) => !DEFINITION_LISTS.includes(name));
  if (entries.length === 0) return h("p", { class: "muted", text: "None." });
  return h("dl", { class: "pairs" }, entries.map(([name, value]) => {
    const options = value && typeof value === "object" && Object.keys(value).length > 0;
    const content = options ? h("code", { text: JSON.stringify(value) }) : value === false ? "no" : "yes";
    return h("div", {}, h("dt", {}, h("code", { text: name })), h("dd", {}, content));
  }));
}

function toolContent(tool) {
  const otherMembers = Object.fromEntries(Object.entries(tool).filter(([key]) => ![...TOOL_TEXT_FIELDS, "inputSchema", "outputSchema"].includes(key)));
  return [
    paragraph(tool.description),
    tool.inputSchema === undefined ? h("p", { class: "muted", text: "No input schema" }) : labeledJson("Input schema", tool.inputSchema),
    tool.outputSchema === undefined ? null : labeledJson("Output schema", tool.outputSchema),
    Object.keys(otherMembers).length ? labeledJson("Other members", otherMembers) : null,
  ];
}

function resourceContent(resource) {
  return [paragraph(resource.description), jsonBlock(resource)];
}

function promptContent(prompt) {
  const promptArguments = Array.isArray(prompt.arguments) ? prompt.arguments : [];
  return [
    paragraph(prompt.description),
    promptArguments.length
      ? h("dl", { class: "pairs" }, promptArguments.map((argument) => h("div", {},
        h("dt", {}, h("code", { text: String(argument?.name ?? "") }), h("span", { class: "muted", text: argument?.required === true ? " required" : " optional" })),
        h("dd", { text: typeof argument?.description === "string" ? argument.description : "" }))))
      : h("p", { class: "muted", text: "No arguments" }),
    jsonBlock(prompt),
  ];
}
