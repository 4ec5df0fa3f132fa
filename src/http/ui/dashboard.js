// The dashboard: views, keyboard shortcuts and navigation. The URL contains the whole view: the filters in its query, the page
// in its fragment (`#server=ID`, `#changes`, or the list).

import { currentToken } from "./api.js";
import { ChangeList } from "./changes.js";
import { Detail } from "./detail.js";
import { $, copyable, formatNumber, h, setText } from "./dom.js";
import { formatFilters, isEmpty, matches, NO_FILTERS, parseFilters, serversPath } from "./filters.js";
import { ServerList, serverCountText } from "./list.js";
import { Search } from "./search.js";
import { Store } from "./store.js";
import { tokenForm } from "./token.js";

const TICK_MS = 1000;
const ANNOUNCE_DELAY_MS = 800;

const store = new Store();
const serverList = new ServerList($("rows"), store.leases, (tag) => updateFilters({ tags: [...new Set([...filters.tags, tag])] }));
const changeList = new ChangeList($("changes"));
const detail = new Detail($("server"), store);
const search = new Search(() => showList());

let filters = parseFilters(location.search);
let view = "servers";
let listScroll = 0;
let lastOpenedId = null;
let announceTimer;

// ---- The list

function showList(highlightedIds = []) {
  const total = store.isComplete ? store.servers.size : Math.max(store.servers.size, store.stats?.servers.total ?? 0);
  const isFiltered = !isEmpty(filters);
  const servers = serversMatchingSearch().filter((server) => matches(server, filters));
  serverList.show(servers, highlightedIds);
  const isLoading = store.servers.size === 0 && !store.isComplete;
  const isSearching = !search.isComplete && servers.length === 0;
  $("table").hidden = servers.length === 0;
  $("loading").hidden = !(isLoading || (isSearching && store.servers.size > 0));
  $("empty").hidden = !(store.isComplete && store.servers.size === 0);
  $("nothing").hidden = servers.length > 0 || isLoading || isSearching || store.servers.size === 0;
  setText($("nothing-why"), search.problem ? `The search failed: ${search.problem}.` : `None of ${formatNumber(total)} servers matches the search and filters.`);
  $("clear").hidden = !isFiltered;
  const text = isLoading || isSearching ? "" : serverCountText(isFiltered ? servers.length : total, total, isFiltered);
  setText($("shown"), text);
  // Announced to screen readers with a delay, so that a busy registry does not announce continuously.
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => setText($("announce"), text), ANNOUNCE_DELAY_MS);
  showTitle();
}

function serversMatchingSearch() {
  if (search.results === null) return [...store.servers.values()];
  return search.results.map((server) => store.servers.get(server.id) ?? (store.isComplete ? null : server)).filter(Boolean);
}

// ---- Filters

function updateFilters(updates, isTyping = false) {
  filters = { ...filters, ...updates };
  const address = location.pathname + formatFilters(filters) + location.hash;
  // Each choice is a history entry; each typed letter is not.
  if (isTyping) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  applyFilters();
}

function applyFilters() {
  if ($("q").value !== filters.q) $("q").value = filters.q;
  $("transport").value = filters.transport;
  $("health").value = filters.health;
  showFilterMenus();
  search.update(filters);
  showList();
}

function showFilterMenus() {
  const counts = store.stats?.servers ?? { by_tag: {}, by_capability: {} };
  showMenu($("tag-menu"), "Tags", counts.by_tag, filters.tags, (tags) => updateFilters({ tags }));
  showMenu($("capability-menu"), "Capabilities", counts.by_capability, filters.capabilities, (capabilities) => updateFilters({ capabilities }));
}

function showMenu(element, name, counts, selected, onSelect) {
  const countOf = (value) => (Object.hasOwn(counts, value) ? counts[value] : 0);
  setText(element.querySelector("summary"), selected.length ? `${name}: ${selected.join(", ")}` : name);
  const values = [...new Set([...Object.keys(counts), ...selected])].sort((a, b) => a.localeCompare(b));
  const choices = element.querySelector(".choices");
  const rendered = JSON.stringify([values.map((value) => [value, countOf(value)]), selected]);
  if (choices.dataset.rendered === rendered) return;
  choices.dataset.rendered = rendered;
  const focused = choices.contains(document.activeElement) ? document.activeElement.value : null;
  choices.replaceChildren(...values.map((value) => {
    const input = h("input", { type: "checkbox", value, checked: selected.includes(value) });
    input.addEventListener("change", () => onSelect(input.checked ? [...selected, value] : selected.filter((other) => other !== value)));
    if (value === focused) queueMicrotask(() => input.focus());
    return h("label", {}, input, h("span", { class: "choice", text: value }), h("span", { class: "muted", text: formatNumber(countOf(value)) }));
  }));
  if (values.length === 0) choices.append(h("p", { class: "muted", text: "None." }));
}

const clearFilters = () => {
  updateFilters(NO_FILTERS);
  $("q").focus();
};

// ---- Pages

function route() {
  const id = /^#server=(.+)$/.exec(location.hash)?.[1];
  const next = id ? "server" : location.hash === "#changes" ? "changes" : "servers";
  if (view === "servers" && next !== "servers") listScroll = scrollY;
  const isSame = next === view && (next !== "server" || decode(id) === detail.id);
  view = next;
  document.body.dataset.view = view;
  $("servers-view").hidden = view === "server";
  $("server-view").hidden = view !== "server";
  $("page-title").hidden = view === "server";
  setText($("page-title"), view === "changes" ? "Changes" : "Servers");
  for (const [name, element] of [["servers", $("nav-servers")], ["changes", $("nav-changes")]]) {
    if (name === view) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
  if (view === "server") {
    if (!isSame) {
      lastOpenedId = decode(id);
      detail.open(lastOpenedId);
      scrollTo(0, 0);
    }
    $("server-title")?.focus({ preventScroll: true });
  } else {
    detail.close();
  }
  if (view === "changes") $("changes-title").focus();
  if (view === "servers" && !isSame) {
    scrollTo(0, listScroll);
    if (lastOpenedId) serverList.focusOn(lastOpenedId);
    lastOpenedId = null;
  }
  showTitle();
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showTitle() {
  const name = view === "server" ? (store.servers.get(detail.id)?.name ?? detail.id) : view === "changes" ? "Changes" : null;
  document.title = name ? `${name} · Paulina` : store.stats ? `Paulina · ${formatNumber(store.stats.servers.total)}` : "Paulina";
}

function goHome() {
  history.pushState(null, "", location.pathname + location.search);
  route();
}

// ---- Connection state, access, totals, changes

function showState() {
  const { state, problem } = store;
  const isRefused = state === "refused";
  document.body.dataset.state = state;
  setText($("connection"), { loading: "loading", live: "live", gone: "not connected", refused: problem?.needsToken ? "no access" : "rejected" }[state]);
  setText($("banner"), state === "gone" ? "The registry is not reachable. This page shows the last known state, and reconnects automatically." : "");
  $("access").hidden = !isRefused;
  $("page-title").hidden = isRefused || view === "server";
  $("servers-view").hidden = isRefused || view === "server";
  $("server-view").hidden = isRefused || view !== "server";
  $("changes-view").hidden = isRefused;
  $("totals").hidden = isRefused || !store.stats;
  $("token-button").hidden = isRefused || !currentToken();
  if (isRefused) showAccess(problem);
  else if (view === "server" && state === "live") detail.load();
  if (state === "live") search.restart();
}

function showAccess(problem) {
  const titles = {
    unauthorized: currentToken() ? "Unknown token" : "This registry requires a token",
    forbidden: "This token does not permit reading",
    another_token: "Use another token",
  };
  setText($("access-title"), titles[problem.code] ?? "The registry rejected the request");
  setText($("access-why"), `${problem.message}.`);
  $("access-form").replaceChildren(problem.needsToken ? tokenForm(start) : h("button", { type: "button", onclick: start, text: "Try again" }));
  $("access-form").querySelector("input, button").focus();
}

function showTotals() {
  const { stats } = store;
  $("totals").hidden = !stats || store.state === "refused";
  if (!stats) return;
  const { total, by_health: health } = stats.servers;
  const totals = [["servers", total, ""], ["healthy", health.healthy, "healthy"], ["unhealthy", health.unhealthy, "unhealthy"],
    ["tools", stats.tools, ""], ["resources", stats.resources, ""], ["prompts", stats.prompts, ""]];
  $("totals").replaceChildren(...totals.map(([name, value, kind]) =>
    h("div", { class: value ? kind : "" }, h("dt", { text: value === 1 ? name.replace(/s$/, "") : name }), h("dd", { text: formatNumber(value) }))));
}

function showChanges(changedIds, hasNewChanges) {
  const isRegistered = (id) => store.servers.has(id);
  if (hasNewChanges) changeList.show(store.changes, isRegistered);
  changeList.updateLinks(changedIds, isRegistered);
  $("no-changes").hidden = store.changes.length > 0;
  $("changes").hidden = store.changes.length === 0;
}

function start() {
  store.start(serversPath({ ...filters, q: "" }, 100));
  search.restart();
}

let wasComplete = false;

store.subscribe(({ changedIds, changedParts }) => {
  if (changedParts.has("state")) showState();
  if (changedParts.has("stats")) {
    showTotals();
    showFilterMenus();
  }
  if (changedParts.has("servers") || changedParts.has("stats") || changedParts.has("state")) {
    showList(wasComplete ? changedIds : []);
    wasComplete = store.isComplete;
  }
  if (changedParts.has("servers")) search.scheduleRepeat();
  if (changedParts.has("changes") || changedIds.size) showChanges(changedIds, changedParts.has("changes"));
  if (view === "server" && changedIds.has(detail.id)) detail.load();
  if (view === "server" && changedParts.has("changes")) detail.showChanges();
});

$("q").addEventListener("input", () => updateFilters({ q: $("q").value }, Boolean(filters.q) === Boolean($("q").value)));
$("q").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  serverList.focusFirst();
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("transport").addEventListener("change", () => updateFilters({ transport: $("transport").value }));
$("health").addEventListener("change", () => updateFilters({ health: $("health").value }));
$("clear").addEventListener("click", clearFilters);
$("clear-all").addEventListener("click", clearFilters);
for (const id of ["home", "nav-servers", "back"]) {
  $(id).addEventListener("click", (event) => {
    event.preventDefault();
    goHome();
  });
}
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $(view === "changes" ? "changes-title" : "main").focus();
});
$("token-button").addEventListener("click", () => store.changeToken());
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(event.target)) open.open = false;
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("textarea, input:not([type=checkbox])");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    if (view === "server") goHome();
    $("q").focus();
    $("q").select();
  } else if (event.key === "Escape") {
    const open = document.querySelector("details.menu[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (view !== "servers") {
      goHome();
    } else if (event.target === $("q") && filters.q) {
      event.preventDefault();
      updateFilters({ q: "" });
    }
  }
});

addEventListener("hashchange", route);
addEventListener("popstate", () => {
  filters = parseFilters(location.search);
  applyFilters();
  route();
});
history.scrollRestoration = "manual";

setInterval(() => {
  if (document.hidden || store.state !== "live") return;
  store.leases.poll(() => store.restartStream());
  serverList.tick();
  detail.tick();
}, TICK_MS);

const baseUrl = new URL(".", location.href).href.replace(/\/$/, "");
const registryOption = baseUrl === "http://127.0.0.1:7285" ? "" : `--registry ${baseUrl} `;
$("empty-command").append(copyable(`paulina announce ${registryOption}-- npx -y @modelcontextprotocol/server-everything`, "the command"));

applyFilters();
start();
route();
