// The dashboard: views, keyboard shortcuts and navigation. The URL contains the whole view: the filters in its query, the page
// in its fragment (`#server=ID`, `#changes`, or the list).

import { currentToken } from "./api.js";
import { Changes } from "./changes.js";
import { Detail } from "./detail.js";
import { $, copyable, count, h, put } from "./dom.js";
import * as filtering from "./filters.js";
import { List, summary } from "./list.js";
import { Search } from "./search.js";
import { Store } from "./store.js";
import { tokenForm } from "./token.js";

const TICK_MS = 1000;
const ANNOUNCE_MS = 800;

const store = new Store();
const list = new List($("rows"), store.leases, (tag) => change({ tags: [...new Set([...filters.tags, tag])] }));
const changes = new Changes($("changes"));
const detail = new Detail($("server"), store);
const search = new Search(() => showList(new Set()));

let filters = filtering.read(location.search);
let view = "servers";
let listScroll = 0;
let lastId = null;
let announcing;

// ---- The list

function showList(touched, lightUp = false) {
  const total = store.complete ? store.servers.size : Math.max(store.servers.size, store.stats?.servers.total ?? 0);
  const isNarrowed = !filtering.isNone(filters);
  const servers = candidates().filter((server) => filtering.matches(server, filters));
  list.show(servers, touched, lightUp);
  const isLoading = store.servers.size === 0 && !store.complete;
  const isSearching = !search.settled && servers.length === 0;
  $("table").hidden = servers.length === 0;
  $("loading").hidden = !(isLoading || (isSearching && store.servers.size > 0));
  $("empty").hidden = !(store.complete && store.servers.size === 0);
  $("nothing").hidden = servers.length > 0 || isLoading || isSearching || store.servers.size === 0;
  put($("nothing-why"), search.problem ? `The search failed: ${search.problem}.` : `None of ${count(total)} servers matches the search and filters.`);
  $("clear").hidden = !isNarrowed;
  const text = isLoading || isSearching ? "" : summary(isNarrowed ? servers.length : total, total, isNarrowed);
  put($("shown"), text);
  // Announced to screen readers with a delay, so that a busy registry does not announce continuously.
  clearTimeout(announcing);
  announcing = setTimeout(() => put($("announce"), text), ANNOUNCE_MS);
  showTitle();
}

function candidates() {
  if (search.found === null) return [...store.servers.values()];
  return search.found.map((server) => store.servers.get(server.id) ?? (store.complete ? null : server)).filter(Boolean);
}

// ---- Filters

function change(some, isTyping = false) {
  filters = { ...filters, ...some };
  const address = location.pathname + filtering.write(filters) + location.hash;
  // Each choice is a history entry; each typed letter is not.
  if (isTyping) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  applyFilters();
}

function applyFilters() {
  if ($("q").value !== filters.q) $("q").value = filters.q;
  $("transport").value = filters.transport;
  $("health").value = filters.health;
  showChoices();
  search.look(filters);
  showList(new Set());
}

function showChoices() {
  const known = store.stats?.servers ?? { by_tag: {}, by_capability: {} };
  menu($("tag-menu"), "Tags", known.by_tag, filters.tags, (tags) => change({ tags }));
  menu($("capability-menu"), "Capabilities", known.by_capability, filters.capabilities, (capabilities) => change({ capabilities }));
}

function menu(element, name, counts, chosen, choose) {
  const number = (one) => (Object.hasOwn(counts, one) ? counts[one] : 0);
  put(element.querySelector("summary"), chosen.length ? `${name}: ${chosen.join(", ")}` : name);
  const names = [...new Set([...Object.keys(counts), ...chosen])].sort((a, b) => a.localeCompare(b));
  const box = element.querySelector(".choices");
  const drawn = JSON.stringify([names.map((one) => [one, number(one)]), chosen]);
  if (box.dataset.drawn === drawn) return;
  box.dataset.drawn = drawn;
  const focused = box.contains(document.activeElement) ? document.activeElement.value : null;
  box.replaceChildren(...names.map((one) => {
    const input = h("input", { type: "checkbox", value: one, checked: chosen.includes(one) });
    input.addEventListener("change", () => choose(input.checked ? [...chosen, one] : chosen.filter((other) => other !== one)));
    if (one === focused) queueMicrotask(() => input.focus());
    return h("label", {}, input, h("span", { class: "choice", text: one }), h("span", { class: "muted", text: count(number(one)) }));
  }));
  if (names.length === 0) box.append(h("p", { class: "muted", text: "None." }));
}

const clear = () => {
  change(filtering.NONE);
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
  put($("page-title"), view === "changes" ? "Changes" : "Servers");
  for (const [name, element] of [["servers", $("nav-servers")], ["changes", $("nav-changes")]]) {
    if (name === view) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
  if (view === "server") {
    if (!isSame) {
      lastId = decode(id);
      detail.open(lastId);
      scrollTo(0, 0);
    }
    $("server-title")?.focus({ preventScroll: true });
  } else {
    detail.close();
  }
  if (view === "changes") $("changes-title").focus();
  if (view === "servers" && !isSame) {
    scrollTo(0, listScroll);
    if (lastId) list.focusOn(lastId);
    lastId = null;
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
  document.title = name ? `${name} · Paulina` : store.stats ? `Paulina · ${count(store.stats.servers.total)}` : "Paulina";
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
  put($("connection"), { loading: "loading", live: "live", gone: "not connected", refused: problem?.wantsToken ? "no access" : "rejected" }[state]);
  put($("banner"), state === "gone" ? "The registry is not reachable. This page shows the last known state, and reconnects automatically." : "");
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
  const known = {
    unauthorized: currentToken() ? "Unknown token" : "This registry requires a token",
    forbidden: "This token does not permit reading",
    another_token: "Use another token",
  };
  put($("access-title"), known[problem.code] ?? "The registry rejected the request");
  put($("access-why"), `${problem.message}.`);
  $("access-form").replaceChildren(problem.wantsToken ? tokenForm(begin) : h("button", { type: "button", onclick: begin, text: "Try again" }));
  $("access-form").querySelector("input, button").focus();
}

function showTotals() {
  const { stats } = store;
  $("totals").hidden = !stats || store.state === "refused";
  if (!stats) return;
  const { total, by_health: health } = stats.servers;
  const figures = [["servers", total, ""], ["healthy", health.healthy, "healthy"], ["unhealthy", health.unhealthy, "unhealthy"],
    ["tools", stats.tools, ""], ["resources", stats.resources, ""], ["prompts", stats.prompts, ""]];
  $("totals").replaceChildren(...figures.map(([name, value, kind]) =>
    h("div", { class: value ? kind : "" }, h("dt", { text: value === 1 ? name.replace(/s$/, "") : name }), h("dd", { text: count(value) }))));
}

function showChanges(touched, areNew) {
  const isHere = (id) => store.servers.has(id);
  if (areNew) changes.show(store.changes, isHere);
  changes.relink(touched, isHere);
  $("no-changes").hidden = store.changes.length > 0;
  $("changes").hidden = store.changes.length === 0;
}

function begin() {
  store.start(filtering.query({ ...filters, q: "" }, 100));
  search.restart();
}

let wasComplete = false;

store.subscribe(({ touched, kinds }) => {
  if (kinds.has("state")) showState();
  if (kinds.has("stats")) {
    showTotals();
    showChoices();
  }
  if (kinds.has("servers") || kinds.has("stats") || kinds.has("state")) {
    showList(touched, wasComplete);
    wasComplete = store.complete;
  }
  if (kinds.has("servers")) search.again();
  if (kinds.has("changes") || touched.size) showChanges(touched, kinds.has("changes"));
  if (view === "server" && touched.has(detail.id)) detail.load();
  if (view === "server" && kinds.has("changes")) detail.showChanges();
});

$("q").addEventListener("input", () => change({ q: $("q").value }, Boolean(filters.q) === Boolean($("q").value)));
$("q").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  list.focusFirst();
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("transport").addEventListener("change", () => change({ transport: $("transport").value }));
$("health").addEventListener("change", () => change({ health: $("health").value }));
$("clear").addEventListener("click", clear);
$("clear-all").addEventListener("click", clear);
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
$("token-button").addEventListener("click", () => store.refuse());
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
      change({ q: "" });
    }
  }
});

addEventListener("hashchange", route);
addEventListener("popstate", () => {
  filters = filtering.read(location.search);
  applyFilters();
  route();
});
history.scrollRestoration = "manual";

setInterval(() => {
  if (document.hidden || store.state !== "live") return;
  store.leases.ask(() => store.doubt());
  list.tick();
  detail.tick();
}, TICK_MS);

const here = new URL(".", location.href).href.replace(/\/$/, "");
const elsewhere = here === "http://127.0.0.1:7285" ? "" : `--registry ${here} `;
$("empty-command").append(copyable(`paulina announce ${elsewhere}-- npx -y @modelcontextprotocol/server-everything`, "the command"));

applyFilters();
begin();
route();
