// The table of servers. Each row is created once and then updated in place; the browser lays out only visible rows
// (`content-visibility` in the style sheet), so that thousands cost little. ARIA roles are explicit because the rows are CSS grids,
// and browsers can drop the table semantics then.

import { counted, count, duration, h, put } from "./dom.js";

const FIRST_ROWS = 60;
const MORE_ROWS = 300;
const TOOL_NAMES = 12;

export const serverAddress = (id) => `#server=${encodeURIComponent(id)}`;

export class List {
  #body;
  #leases;
  #onTag;
  #rows = new Map();
  #elements = new WeakMap();
  #shown = [];
  #drawn = 0;
  #more = null;
  #view;

  constructor(body, leases, onTag) {
    this.#body = body;
    this.#leases = leases;
    this.#onTag = onTag;
    this.#view = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const row = this.#elements.get(target);
        leases.see(row.id, isIntersecting && row.element.isConnected);
        if (isIntersecting) this.#drawLease(row);
      }
    }, { rootMargin: "100px" });
    body.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Shows these servers in this order; `touched` are the ids to highlight. */
  show(servers, touched, lightUp) {
    const wanted = new Set(servers.map(({ id }) => id));
    for (const [id, row] of this.#rows) if (!wanted.has(id)) this.#remove(id, row);
    const isLonger = servers.length > this.#drawn;
    this.#shown = servers;
    this.#place(isLonger ? Math.max(this.#drawn, FIRST_ROWS) : servers.length);
    if (lightUp) for (const id of touched) this.#flash(this.#rows.get(id));
  }

  /** Inserts the first `limit` rows and defers the others, so that the first are visible at once. */
  #place(limit) {
    clearTimeout(this.#more);
    const focused = document.activeElement;
    let next = this.#body.firstElementChild;
    for (const server of this.#shown.slice(0, limit)) {
      const { element } = this.#row(server);
      if (element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(element, next);
    }
    // A moved element loses the focus.
    if (focused !== document.activeElement && this.#body.contains(focused)) focused.focus({ preventScroll: true });
    this.#drawn = Math.min(limit, this.#shown.length);
    if (this.#drawn < this.#shown.length) this.#more = setTimeout(() => this.#place(this.#drawn + MORE_ROWS), 0);
  }

  #row(server) {
    let row = this.#rows.get(server.id);
    if (!row) {
      row = makeRow(server.id);
      this.#rows.set(server.id, row);
      this.#elements.set(row.element, row);
      this.#view.observe(row.element);
    }
    if (row.server !== server) this.#fill(row, server);
    return row;
  }

  #fill(row, server) {
    row.server = server;
    const { name, title, version, id, transport, health, tags, capabilities } = server;
    put(row.name, name);
    put(row.more, title && title !== name ? title : "");
    put(row.ident, id);
    put(row.version, version ?? "");
    put(row.transport, transport);
    put(row.health, health);
    row.health.className = `health ${health}`;
    const names = capabilities.tools.slice(0, TOOL_NAMES).map((tool) => tool.name).join(", ");
    put(row.count, count(capabilities.tools.length));
    put(row.unit, capabilities.tools.length === 1 ? " tool" : " tools");
    put(row.tools, capabilities.tools.length > TOOL_NAMES ? `${names}, …` : names);
    const text = tags.join("\n");
    if (row.tagText !== text) {
      row.tagText = text;
      row.tags.replaceChildren(...tags.map((tag) => this.#tag(tag)));
    }
    this.#drawLease(row);
  }

  #tag(tag) {
    const button = h("button", { type: "button", class: "tag", title: `Only servers with the tag ${tag}`, text: tag });
    button.addEventListener("click", () => this.#onTag(tag));
    return h("li", {}, button);
  }

  /** Updates the countdowns of the visible rows. */
  tick() {
    for (const id of this.#leases.visible) {
      const row = this.#rows.get(id);
      if (row) this.#drawLease(row);
    }
  }

  #drawLease(row) {
    const left = row.server.health === "healthy" ? this.#leases.left(row.id) : null;
    put(row.lease, left ? duration(left.ms) : "expired");
    row.bar.style.setProperty("--part", left ? left.part.toFixed(3) : "0");
  }

  #flash(row) {
    if (!row?.element.isConnected) return;
    row.element.classList.remove("changed");
    requestAnimationFrame(() => row.element.classList.add("changed"));
    clearTimeout(row.flash);
    row.flash = setTimeout(() => row.element.classList.remove("changed"), 3000);
  }

  #remove(id, row) {
    clearTimeout(row.flash);
    this.#view.unobserve(row.element);
    this.#leases.see(id, false);
    if (row.element.contains(document.activeElement)) {
      const neighbour = row.element.nextElementSibling ?? row.element.previousElementSibling;
      neighbour?.querySelector("a")?.focus();
    }
    row.element.remove();
    this.#rows.delete(id);
  }

  focusFirst() {
    this.#body.querySelector("a")?.focus();
  }

  focusOn(id) {
    this.#rows.get(id)?.element.querySelector("a").focus({ preventScroll: true });
  }

  /** Moves the focus between rows with the arrow keys. */
  #walk(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    const link = event.target.closest("tr")?.[step]?.querySelector("a");
    if (!link) return;
    event.preventDefault();
    link.focus();
  }
}

function makeRow(id) {
  const name = h("a", { href: serverAddress(id) });
  const more = h("span", { class: "muted" });
  const ident = h("span", { class: "mono muted ident" });
  const health = h("span");
  const lease = h("span", { class: "time-left" });
  const bar = h("span", { class: "bar", "aria-hidden": "true" });
  const transport = h("span");
  const version = h("span", { class: "muted version" });
  const unit = h("span", { class: "unit" });
  const number = h("span", { class: "number" });
  const tools = h("span", { class: "muted names" });
  const tags = h("ul", { class: "tags" });
  const element = h("tr", { role: "row" },
    h("th", { role: "rowheader", scope: "row", class: "name" }, h("span", {}, name, " ", more), h("span", {}, ident, " ", version)),
    h("td", { role: "cell", class: "c-health" }, health),
    h("td", { role: "cell", class: "c-lease" }, lease, bar),
    h("td", { role: "cell", class: "c-transport" }, transport),
    h("td", { role: "cell", class: "c-tools" }, number, unit, " ", tools),
    h("td", { role: "cell", class: "c-tags" }, tags));
  return { id, element, name, more, ident, version, unit, health, lease, bar, transport, count: number, tools, tags, server: null, tagText: "" };
}

export const summary = (shown, total, isNarrowed) =>
  isNarrowed ? `${count(shown)} of ${counted(total, "server")}` : counted(total, "server");
