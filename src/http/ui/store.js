// The client's copy of the registry's state: servers, latest changes, totals.
//
// It comes from one stream without filters, and filters are applied here: so one connection is enough for the list, the changes
// and the totals, and a filter takes effect at once. The first page of servers is fetched separately, to be shown before a
// snapshot of thousands has arrived.

import { get, getJson, open, Problem, Question, Unreachable } from "./api.js";
import { Leases } from "./leases.js";
import { events, Watch } from "./stream.js";

const KEPT_CHANGES = 1000;
const REPLAYED_CHANGES = 200;
const STATS_EVERY_MS = 500;
const GONE_AFTER_MS = 1_000;
const UNHEALTHY_FIRST_MS = 1_000;
const UNHEALTHY_LONGEST_MS = 10_000;
const DOUBT_EVERY_MS = 5_000;
const HIDDEN_MS = 20_000;
const REVISION = /^(.*)-(\d+)$/;

export class Store {
  servers = new Map();
  leases = new Leases();
  /** Newest first: `{revision, kind, at, id, name, transport}`. */
  changes = [];
  stats = null;
  /** `loading`, `live`, `gone` or `refused`. */
  state = "loading";
  problem = null;
  /** Whether `servers` contains all servers, and not only the first page. */
  complete = false;

  #listeners = [];
  #touched = new Set();
  #kinds = new Set();
  #frame = null;
  #watch;
  #statsQuestion = new Question("v1/stats");
  #statsDue = null;
  #statsAt = 0;
  #unhealthy = new Question("v1/servers?healthy=false&limit=1000");
  #unhealthyPage = null;
  #unhealthyDue = null;
  #lostAt = null;
  #history = null;
  #doubtedAt = 0;

  constructor() {
    this.#watch = new Watch("v1/watch", {
      event: (name, data) => this.#event(name, data),
      connected: () => this.#connected(),
      lost: (error) => this.#lost(error),
      refused: (problem) => this.#refused(problem),
    });
    let hidden;
    // A browser opens up to six connections to an HTTP/1.1 server, so hidden tabs close theirs.
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#watch.stop(), HIDDEN_MS);
      else if (this.state !== "refused") this.#watch.start();
    });
  }

  /** `listener({touched, kinds})` is called at most once a frame: ids that changed, and which of `servers`, `changes`, `stats`, `state`. */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  /** Starts, or starts again with another token. */
  start(firstPage) {
    this.#watch.reset();
    this.servers.clear();
    this.leases.clear();
    this.changes = [];
    this.#history = null;
    this.stats = null;
    this.complete = false;
    this.#unhealthyPage = null;
    this.#unhealthy = new Question(this.#unhealthy.path);
    this.#statsQuestion = new Question(this.#statsQuestion.path);
    this.#setState("loading");
    this.#tell("servers", "changes", "stats");
    this.#askStats();
    // In sequence: a snapshot of thousands would delay the page.
    this.#firstPage(firstPage).finally(() => this.#watch.start());
  }

  async #firstPage(path) {
    try {
      const answer = await get(path);
      if (this.complete) return;
      this.leases.clockSaid(answer.date);
      for (const server of JSON.parse(answer.text).servers) this.#put(server);
      this.#tell("servers");
    } catch (error) {
      // The stream gets the same error, and reports it.
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
    }
  }

  #event(name, data) {
    if (name === "snapshot") this.#snapshot(data);
    else if (data.server) this.#change(data);
  }

  #snapshot({ servers, revision }) {
    for (const id of this.servers.keys()) this.#touched.add(id);
    this.servers.clear();
    this.leases.clear();
    for (const server of servers) this.#put(server);
    this.complete = true;
    this.#setState("live");
    this.#tell("servers");
    this.#askStats();
    this.#askUnhealthy(0);
    this.#replay(revision);
  }

  #change({ revision, kind, at, server }) {
    const { id, name, transport } = server;
    if (kind === "deregistered") {
      this.#drop(id);
    } else {
      this.#put(kind === "expired" ? { ...server, health: "unhealthy" } : server);
    }
    this.changes.unshift({ revision, kind, at, id, name, transport });
    this.changes.length = Math.min(this.changes.length, KEPT_CHANGES);
    this.#tell("servers", "changes");
    this.#askStats();
    if (kind === "expired") this.#askUnhealthy(UNHEALTHY_FIRST_MS);
  }

  #put(server) {
    this.servers.set(server.id, server);
    this.leases.set(server);
    this.#touched.add(server.id);
  }

  #drop(id) {
    this.servers.delete(id);
    this.leases.delete(id);
    this.#touched.add(id);
  }

  /** Fetches the latest changes before a snapshot, as far as the registry still stores them. */
  async #replay(revision) {
    const [, epoch, number] = REVISION.exec(revision) ?? [];
    if (!epoch || this.#history === epoch || number === "0") return;
    this.#history = epoch;
    const since = `${epoch}-${Math.max(0, Number(number) - REPLAYED_CHANGES)}`;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 5_000);
    const found = [];
    try {
      const response = await open(`v1/watch?since=${encodeURIComponent(since)}`, { signal: abort.signal });
      for await (const { event, data } of events(response)) {
        if (event === "snapshot") break;
        const { revision: own, kind, at, server } = JSON.parse(data);
        found.unshift({ revision: own, kind, at, id: server.id, name: server.name, transport: server.transport });
        if (Number(REVISION.exec(own)?.[2]) >= Number(number)) break;
      }
    } catch {
      // The history is optional: without it the list begins with new changes.
    }
    clearTimeout(timer);
    abort.abort();
    const known = new Set(this.changes.map((change) => change.revision));
    this.changes.push(...found.filter((change) => !known.has(change.revision)));
    this.changes.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
    this.changes.length = Math.min(this.changes.length, KEPT_CHANGES);
    this.#tell("changes");
  }

  #connected() {
    this.#lostAt = null;
    if (this.complete) this.#setState("live");
    this.#askStats();
  }

  #lost() {
    this.#lostAt ??= performance.now();
    const wait = Math.max(0, this.#lostAt + GONE_AFTER_MS - performance.now());
    setTimeout(() => {
      if (this.#lostAt !== null && this.#watch.isOpen) this.#setState("gone");
    }, wait);
  }

  #refused(problem) {
    this.problem = problem;
    this.#setState("refused");
  }

  /** Restarts the stream after another request failed: a dead connection can go unnoticed for a long time. */
  doubt() {
    const now = performance.now();
    if (now - this.#doubtedAt < DOUBT_EVERY_MS || !this.#watch.isOpen) return;
    this.#doubtedAt = now;
    this.#watch.stop();
    this.#watch.start();
  }

  /** Stops, and shows the form for another token. */
  refuse() {
    this.#watch.stop();
    this.#refused(new Problem(401, { code: "another_token", detail: "the token determines what this page can read" }));
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.#tell("state");
  }

  #askStats() {
    if (this.#statsDue !== null) return;
    const wait = Math.max(50, this.#statsAt + STATS_EVERY_MS - performance.now());
    this.#statsDue = setTimeout(async () => {
      this.#statsDue = null;
      this.#statsAt = performance.now();
      try {
        const text = await this.#statsQuestion.ask();
        if (text === null) return;
        this.stats = JSON.parse(text);
        this.#tell("stats");
      } catch (error) {
        if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      }
    }, wait);
  }

  /**
   * The stream reports healthy servers, and when they expire. Servers that were already unhealthy, and their deletion, have to
   * be polled: once after a snapshot, and then as long as there are any.
   */
  #askUnhealthy(delay) {
    clearTimeout(this.#unhealthyDue);
    this.#unhealthyDue = setTimeout(async () => {
      try {
        if (this.state === "live" && !document.hidden) await this.#takeUnhealthy();
      } catch (error) {
        if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      }
      if (this.#hasUnhealthy()) this.#askUnhealthy(Math.min(UNHEALTHY_LONGEST_MS, Math.max(UNHEALTHY_FIRST_MS, delay * 1.5)));
    }, delay);
  }

  #hasUnhealthy() {
    for (const { health } of this.servers.values()) if (health === "unhealthy") return true;
    return false;
  }

  async #takeUnhealthy() {
    const before = new Map(this.servers);
    const text = await this.#unhealthy.ask();
    if (text !== null) this.#unhealthyPage = JSON.parse(text);
    const found = [...this.#unhealthyPage.servers];
    for (let cursor = this.#unhealthyPage.next_cursor; cursor;) {
      const page = await getJson(`v1/servers?cursor=${encodeURIComponent(cursor)}`);
      found.push(...page.servers);
      cursor = page.next_cursor;
    }
    // Events that the stream delivered in the meantime are newer.
    const isAsBefore = (id) => this.servers.get(id) === before.get(id);
    const ids = new Set(found.map(({ id }) => id));
    const gone = [...before.values()].filter(({ id, health }) => health === "unhealthy" && !ids.has(id) && isAsBefore(id));
    const come = found.filter(({ id }) => !before.has(id) && isAsBefore(id));
    for (const { id } of gone) this.#drop(id);
    for (const server of come) this.#put(server);
    if (gone.length || come.length) {
      this.#tell("servers");
      this.#askStats();
    }
  }

  #tell(...kinds) {
    for (const kind of kinds) this.#kinds.add(kind);
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      const news = { touched: this.#touched, kinds: this.#kinds };
      this.#touched = new Set();
      this.#kinds = new Set();
      for (const listener of this.#listeners) listener(news);
    });
  }
}
