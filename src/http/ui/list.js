// The table of servers. Each row is created once and then updated in place; the browser lays out only visible rows
// (`content-visibility` in the style sheet), so that thousands cost little. ARIA roles are explicit because the rows are CSS grids,
// and browsers can drop the table semantics then.

import { formatCount, formatDuration, formatNumber, h, setText } from "./dom.js";

const INITIAL_ROWS = 60;
const ROWS_PER_STEP = 300;
const TOOL_NAME_LIMIT = 12;

export const serverHref = (id) => `#server=${encodeURIComponent(id)}`;

export class ServerList {
  #body;
  #leases;
  #onTag;
  #rows = new Map();
  #rowsByElement = new WeakMap();
  #servers = [];
  #insertedCount = 0;
  #insertTimer = null;
  #visibilityObserver;

  constructor(body, leases, onTag) {
    this.#body = body;
    this.#leases = leases;
    this.#onTag = onTag;
    this.#visibilityObserver = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const row = this.#rowsByElement.get(target);
        leases.setVisible(row.id, isIntersecting && row.element.isConnected);
        if (isIntersecting) this.#updateLease(row);
      }
    }, { rootMargin: "100px" });
    body.addEventListener("keydown", (event) => this.#moveFocus(event));
  }

  /** Shows these servers in this order, and highlights the rows of `highlightedIds`. */
  show(servers, highlightedIds) {
    const ids = new Set(servers.map(({ id }) => id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) this.#remove(id, row);
    const hasMoreRows = servers.length > this.#insertedCount;
    this.#servers = servers;
    this.#insertRows(hasMoreRows ? Math.max(this.#insertedCount, INITIAL_ROWS) : servers.length);
    for (const id of highlightedIds) this.#highlight(this.#rows.get(id));
  }

  /** Inserts the first `limit` rows and defers the others, so that the first are visible at once. */
  #insertRows(limit) {
    clearTimeout(this.#insertTimer);
    const focused = document.activeElement;
    let next = this.#body.firstElementChild;
    for (const server of this.#servers.slice(0, limit)) {
      const { element } = this.#updatedRow(server);
      if (element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(element, next);
    }
    // A moved element loses the focus.
    if (focused !== document.activeElement && this.#body.contains(focused)) focused.focus({ preventScroll: true });
    this.#insertedCount = Math.min(limit, this.#servers.length);
    if (this.#insertedCount < this.#servers.length) this.#insertTimer = setTimeout(() => this.#insertRows(this.#insertedCount + ROWS_PER_STEP), 0);
  }

  /** Returns the row of a server, which is created or updated if necessary. */
  #updatedRow(server) {
    let row = this.#rows.get(server.id);
    if (!row) {
      row = makeRow(server.id);
      this.#rows.set(server.id, row);
      this.#rowsByElement.set(row.element, row);
      this.#visibilityObserver.observe(row.element);
    }
    if (row.server !== server) this.#updateRow(row, server);
    return row;
  }

  #updateRow(row, server) {
    row.server = server;
    const { name, title, version, id, transport, health, tags, capabilities } = server;
    setText(row.name, name);
    setText(row.title, title && title !== name ? title : "");
    setText(row.ident, id);
    setText(row.version, version ?? "");
    setText(row.transport, transport);
    setText(row.health, health);
    row.health.className = `health ${health}`;
    const names = capabilities.tools.slice(0, TOOL_NAME_LIMIT).map((tool) => tool.name).join(", ");
    setText(row.number, formatNumber(capabilities.tools.length));
    setText(row.unit, capabilities.tools.length === 1 ? " tool" : " tools");
    setText(row.tools, capabilities.tools.length > TOOL_NAME_LIMIT ? `${names}, …` : names);
    const text = tags.join("\n");
    if (row.tagText !== text) {
      row.tagText = text;
      row.tags.replaceChildren(...tags.map((tag) => this.#tagItem(tag)));
    }
    this.#updateLease(row);
  }

  #tagItem(tag) {
    const button = h("button", { type: "button", class: "tag", title: `Only servers with the tag ${tag}`, text: tag });
    button.addEventListener("click", () => this.#onTag(tag));
    return h("li", {}, button);
  }

  /** Updates the countdowns of the visible rows. */
  tick() {
    for (const id of this.#leases.visible) {
      const row = this.#rows.get(id);
      if (row) this.#updateLease(row);
    }
  }

  #updateLease(row) {
    const remaining = row.server.health === "healthy" ? this.#leases.remaining(row.id) : null;
    setText(row.lease, remaining ? formatDuration(remaining.ms) : "expired");
    row.bar.style.setProperty("--part", remaining ? remaining.fraction.toFixed(3) : "0");
  }

  #highlight(row) {
    if (!row?.element.isConnected) return;
    row.element.classList.remove("changed");
    requestAnimationFrame(() => row.element.classList.add("changed"));
    clearTimeout(row.highlightTimer);
    row.highlightTimer = setTimeout(() => row.element.classList.remove("changed"), 3000);
  }

  #remove(id, row) {
    clearTimeout(row.highlightTimer);
    this.#visibilityObserver.unobserve(row.element);
    this.#leases.setVisible(id, false);
    if (row.element.contains(document.activeElement)) {
      const neighbor = row.element.nextElementSibling ?? row.element.previousElementSibling;
      neighbor?.querySelector("a")?.focus();
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
  #moveFocus(event) {
    const sibling = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!sibling || event.altKey || event.ctrlKey || event.metaKey) return;
    const link = event.target.closest("tr")?.[sibling]?.querySelector("a");
    if (!link) return;
    event.preventDefault();
    link.focus();
  }
}

function makeRow(id) {
  const name = h("a", { href: serverHref(id) });
  const title = h("span", { class: "muted" });
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
    h("th", { role: "rowheader", scope: "row", class: "name" }, h("span", {}, name, " ", title), h("span", {}, ident, " ", version)),
    h("td", { role: "cell", class: "c-health" }, health),
    h("td", { role: "cell", class: "c-lease" }, lease, bar),
    h("td", { role: "cell", class: "c-transport" }, transport),
    h("td", { role: "cell", class: "c-tools" }, number, unit, " ", tools),
    h("td", { role: "cell", class: "c-tags" }, tags));
  return { id, element, name, title, ident, version, unit, health, lease, bar, transport, number, tools, tags, server: null, tagText: "" };
}

export const serverCountText = (shown, total, isFiltered) =>
  isFiltered ? `${formatNumber(shown)} of ${formatCount(total, "server")}` : formatCount(total, "server");
