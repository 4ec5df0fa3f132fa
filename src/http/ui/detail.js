// The page of one server: its whole record. Definitions are collapsed, and rendered when they are expanded, since they can amount
// to megabytes.

import { Problem, Question, Unreachable } from "./api.js";
import { changeItem } from "./changes.js";
import { copyable, copyButton, duration, fill, fold, h, link, moment, parseExactly, pretty, put, shell } from "./dom.js";

const RECENT = 20;
const LONG = 600;
const LISTS = ["tools", "resources", "prompts"];
const TOOL_TEXTS = ["name", "title", "description"];

export class Detail {
  /** The id of the displayed server. */
  id = null;

  #root;
  #store;
  #question = null;
  #abort = null;
  #parts = null;
  #unfolded = new Set();

  constructor(root, store) {
    this.#root = root;
    this.#store = store;
  }

  open(id) {
    this.close();
    this.id = id;
    this.#unfolded.clear();
    this.#store.leases.see(id, true);
    const known = this.#store.servers.get(id);
    this.#message(known?.name ?? id, "Loading…");
    this.load();
  }

  close() {
    if (this.id === null) return;
    this.#abort?.abort();
    this.#store.leases.see(this.id, false);
    this.id = null;
    this.#question = null;
    this.#parts = null;
    this.#root.replaceChildren();
  }

  /** Fetches the record, and renders it if it has changed. */
  async load() {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const id = this.id;
    this.#question ??= new Question(`v1/servers/${encodeURIComponent(id)}`);
    try {
      const text = await this.#question.ask(abort.signal);
      if (text !== null) this.#show(parseExactly(text));
      this.#gone(false);
      this.tick();
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error instanceof Problem && error.status === 404) {
        // Keep the last known record on the screen.
        if (this.#parts) this.#gone(true);
        else this.#message(id, "No server is registered with this id. It appears here as soon as one is registered.");
        this.#question = null;
      } else if (error instanceof Problem) {
        this.#message(id, error.message);
      } else if (!(error instanceof Unreachable)) {
        throw error;
      }
    }
  }

  #message(title, text) {
    this.#parts = null;
    this.#root.replaceChildren(this.#heading(title), h("p", { class: "muted", role: "status", text }));
  }

  /** Updates health and lease. */
  tick() {
    if (!this.#parts || this.#parts.isGone) return;
    const server = this.#store.servers.get(this.id);
    const health = server?.health ?? this.#parts.health;
    const left = health === "healthy" ? this.#store.leases.left(this.id) : null;
    put(this.#parts.health, health);
    this.#parts.health.className = `health ${health}`;
    put(this.#parts.lease, left ? `${duration(left.ms)} left` : "expired");
  }

  #gone(isGone) {
    if (!this.#parts) return;
    this.#parts.isGone = isGone;
    this.#parts.notice.hidden = !isGone;
    if (isGone) {
      put(this.#parts.health, "not registered");
      this.#parts.health.className = "health unhealthy";
      put(this.#parts.lease, "ended");
    }
  }

  showChanges() {
    if (!this.#parts) return;
    const own = this.#store.changes.filter((change) => change.id === this.id).slice(0, RECENT);
    this.#parts.changes.replaceChildren(...own.map((change) => changeItem(change, false)));
    this.#parts.noChanges.hidden = own.length > 0;
  }

  #heading(title) {
    return h("h1", { id: "server-title", tabindex: "-1", text: title });
  }

  #show(server) {
    const parts = {
      health: h("span", { class: "health" }),
      lease: h("span", { class: "time-left" }),
      changes: h("ol", { class: "changes" }),
      noChanges: h("p", { class: "muted", text: "None since this page was opened." }),
      notice: h("p", { class: "notice", role: "status", hidden: true, text: "This server is no longer registered. This is its last known record." }),
      isGone: false,
    };
    if (!this.#store.servers.has(server.id)) this.#store.leases.set(server);
    const hadFocus = this.#root.contains(document.activeElement);
    this.#parts = parts;
    const heading = this.#heading(server.name);
    fill(this.#root,
      heading,
      parts.notice,
      server.title && server.title !== server.name && h("p", { class: "subtitle", text: server.title }),
      facts(server, parts),
      server.description && section("Description", description(server.description)),
      section("Connection", reach(server)),
      section(`Tools (${server.capabilities.tools.length})`, this.#definitions(server.capabilities.tools, "tool", toolContent)),
      section(`Resources (${server.capabilities.resources.length})`, this.#definitions(server.capabilities.resources, "resource", resourceContent)),
      section(`Prompts (${server.capabilities.prompts.length})`, this.#definitions(server.capabilities.prompts, "prompt", promptContent)),
      section("Other capabilities", flags(server.capabilities)),
      section("Metadata", pairs(server.metadata)),
      section("Recent changes", [parts.noChanges, parts.changes]),
      section("Record", fold("As JSON", () => json(server))));
    this.showChanges();
    if (hadFocus) heading.focus({ preventScroll: true });
  }

  #definitions(items, kind, content) {
    if (items.length === 0) return h("p", { class: "muted", text: "None." });
    const folds = items.map((item) => {
      const name = nameOf(item);
      const key = `${kind} ${name}`;
      const title = item.title ?? (item.uri || item.uri_template ? item.name : null);
      const first = typeof item.description === "string" ? item.description.split("\n", 1)[0] : "";
      const summary = [h("code", { class: "definition", text: name }),
        title && title !== name ? h("span", { class: "title", text: ` ${title}` }) : null,
        first ? h("span", { class: "muted line", text: first }) : null];
      const details = fold(summary, () => content(item), { class: "item", open: this.#unfolded.has(key) });
      details.addEventListener("toggle", () => this.#unfolded[details.open ? "add" : "delete"](key));
      return h("li", {}, details);
    });
    return h("ul", { class: "items" }, folds);
  }
}

const nameOf = (item) => item.uri ?? item.uri_template ?? item.name;
const section = (title, content) => h("section", {}, h("h2", { text: title }), content);
const json = (value) => h("div", { class: "copyable" }, h("pre", {}, h("code", { text: pretty(value) })), copyButton(() => pretty(value), "the JSON"));
const labelled = (label, value) => [h("h3", { class: "label", text: label }), json(value)];
const text = (value) => (typeof value === "string" && value ? h("p", { class: "prose", text: value }) : null);

/** Collapses long descriptions: some servers register pages of instructions. */
function description(whole) {
  return whole.length <= LONG ? text(whole) : fold(whole.split("\n", 1)[0], () => text(whole));
}

function facts(server, parts) {
  const rows = [
    ["Health", parts.health],
    ["Lease", [parts.lease, h("span", { class: "muted", text: ` of ${duration(server.ttl * 1000)}` })]],
    ["Transport", server.transport],
    ["Version", server.version],
    ["Id", h("span", { class: "mono", text: server.id })],
    ["Owner", server.owner],
    ["Tags", server.tags.length ? h("ul", { class: "tags" }, server.tags.map((tag) => h("li", {}, h("span", { class: "tag", text: tag })))) : null],
    ["Registered", moment(server.registered_at)],
    ["Updated", moment(server.updated_at)],
  ];
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([term, value]) => h("div", {}, h("dt", { text: term }), h("dd", {}, value))));
}

function reach(server) {
  const inputs = server.transport === "stdio" ? server.environment : server.headers;
  const way = server.command
    ? copyable(server.command.map(shell).join(" "), "the command")
    : h("div", { class: "copyable" }, h("p", { class: "address mono" }, link(server.url)), copyButton(() => server.url, "the address"));
  if (inputs.length === 0) return way;
  const what = server.transport === "stdio" ? "Environment variables" : "Headers";
  const entries = inputs.map((input) => {
    const notes = [input.required ? "required" : "optional", input.secret ? "secret" : null].filter(Boolean).join(", ");
    return h("div", {}, h("dt", {}, h("code", { text: input.name }), h("span", { class: "muted", text: ` ${notes}` })), h("dd", { text: input.description ?? "" }));
  });
  return [way, h("h3", { class: "label", text: what }), h("dl", { class: "pairs" }, entries)];
}

function pairs(object) {
  const entries = Object.entries(object);
  if (entries.length === 0) return h("p", { class: "muted", text: "None." });
  return h("dl", { class: "pairs" }, entries.map(([key, value]) => h("div", {}, h("dt", {}, h("code", { text: key })), h("dd", { text: value }))));
}

function flags(capabilities) {
  const entries = Object.entries(capabilities).filter(([name]) => !LISTS.includes(name));
  if (entries.length === 0) return h("p", { class: "muted", text: "None." });
  return h("dl", { class: "pairs" }, entries.map(([name, value]) => {
    const options = value && typeof value === "object" && Object.keys(value).length > 0;
    const said = options ? h("code", { text: JSON.stringify(value) }) : value === false ? "no" : "yes";
    return h("div", {}, h("dt", {}, h("code", { text: name })), h("dd", {}, said));
  }));
}

function toolContent(tool) {
  const rest = Object.fromEntries(Object.entries(tool).filter(([key]) => ![...TOOL_TEXTS, "inputSchema", "outputSchema"].includes(key)));
  return [
    text(tool.description),
    tool.inputSchema === undefined ? h("p", { class: "muted", text: "No input schema" }) : labelled("Input schema", tool.inputSchema),
    tool.outputSchema === undefined ? null : labelled("Output schema", tool.outputSchema),
    Object.keys(rest).length ? labelled("Other members", rest) : null,
  ];
}

function resourceContent(resource) {
  return [text(resource.description), json(resource)];
}

function promptContent(prompt) {
  const given = Array.isArray(prompt.arguments) ? prompt.arguments : [];
  return [
    text(prompt.description),
    given.length
      ? h("dl", { class: "pairs" }, given.map((argument) => h("div", {},
        h("dt", {}, h("code", { text: String(argument?.name ?? "") }), h("span", { class: "muted", text: argument?.required === true ? " required" : " optional" })),
        h("dd", { text: typeof argument?.description === "string" ? argument.description : "" }))))
      : h("p", { class: "muted", text: "No arguments" }),
    json(prompt),
  ];
}
