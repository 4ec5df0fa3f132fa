// The client's copy of the registry's state: servers, latest changes, totals.
//
// It comes from one stream without filters, and filters are applied here: so one connection is enough for the list, the changes
// and the totals, and a filter takes effect at once. The first page of servers is fetched separately, to be shown before a
// snapshot of thousands has arrived.

import { ConditionalRequest, get, getJson, open, Problem, Unreachable } from "./api.js";
import { Leases } from "./leases.js";
import { events, WatchStream } from "./stream.js";

const HISTORY_LIMIT = 1000;
const REPLAY_LIMIT = 200;
const STATS_INTERVAL_MS = 500;
const DISCONNECT_GRACE_MS = 1_000;
const UNHEALTHY_POLL_MIN_MS = 1_000;
const UNHEALTHY_POLL_MAX_MS = 10_000;
const STREAM_RESTART_INTERVAL_MS = 5_000;
const HIDDEN_TAB_TIMEOUT_MS = 20_000;
const REVISION = /^(.*)-(\d+)$/;

export class Store {
  servers = new Map();
  leases = new Leases();
  /** Newest first: `{revision, kind, at, id, name, transport}`. */
  changes = [];
  stats = null;
  /** `loading`, `live`, `gone` (not reachable) or `refused` (request rejected). */
  state = "loading";
  problem = null;
  /** Whether `servers` contains all servers, and not only the first page. */
  isComplete = false;

  #listeners = [];
  #changedIds = new Set();
  #changedParts = new Set();
  #frame = null;
  #watch;
  #statsRequest = new ConditionalRequest("v1/stats");
  #statsTimer = null;
  #statsSentAt = 0;
  #unhealthyRequest = new ConditionalRequest("v1/servers?healthy=false&limit=1000");
  #unhealthyFirstPage = null;
  #unhealthyTimer = null;
  #disconnectedAt = null;
  #replayedEpoch = null;
  #restartedAt = 0;

  constructor() {
    this.#watch = new WatchStream("v1/watch", {
      onEvent: (kind, data) => this.#handleEvent(kind, data),
      onConnect: () => this.#handleConnect(),
      onDisconnect: () => this.#handleDisconnect(),
      onReject: (problem) => this.#handleRejection(problem),
    });
    let hiddenTimer;
    // A browser opens up to six connections to an HTTP/1.1 server, so hidden tabs close theirs.
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hiddenTimer);
      if (document.hidden) hiddenTimer = setTimeout(() => this.#watch.stop(), HIDDEN_TAB_TIMEOUT_MS);
      else if (this.state !== "refused") this.#watch.start();
    });
  }

  /**
   * Calls `listener({changedIds, changedParts})` at most once a frame, with the ids of changed servers and with those of
   * `servers`, `changes`, `stats` and `state` that have changed.
   */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  /** Starts, or starts again with another token. */
  start(firstPagePath) {
    this.#watch.reset();
    this.servers.clear();
    this.leases.clear();
    this.changes = [];
    this.#replayedEpoch = null;
    this.stats = null;
    this.isComplete = false;
    this.#unhealthyFirstPage = null;
    this.#unhealthyRequest = new ConditionalRequest(this.#unhealthyRequest.path);
    this.#statsRequest = new ConditionalRequest(this.#statsRequest.path);
    this.#setState("loading");
    this.#notify("servers", "changes", "stats");
    this.#scheduleStats();
    // In sequence: a snapshot of thousands would delay the page.
    this.#loadFirstPage(firstPagePath).finally(() => this.#watch.start());
  }

  async #loadFirstPage(path) {
    try {
      const response = await get(path);
      if (this.isComplete) return;
      this.leases.setClock(response.date);
      for (const server of JSON.parse(response.text).servers) this.#setServer(server);
      this.#notify("servers");
    } catch (error) {
      // The stream gets the same error, and reports it.
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
    }
  }

  #handleEvent(kind, data) {
    if (kind === "snapshot") this.#applySnapshot(data);
    else if (data.server) this.#applyChange(data);
  }

  #applySnapshot({ servers, revision }) {
    for (const id of this.servers.keys()) this.#changedIds.add(id);
    this.servers.clear();
    this.leases.clear();
    for (const server of servers) this.#setServer(server);
    this.isComplete = true;
    this.#setState("live");
    this.#notify("servers");
    this.#scheduleStats();
    this.#scheduleUnhealthyPoll(0);
    this.#loadHistory(revision);
  }

  #applyChange({ revision, kind, at, server }) {
    const { id, name, transport } = server;
    if (kind === "deregistered") {
      this.#removeServer(id);
    } else {
      this.#setServer(kind === "expired" ? { ...server, health: "unhealthy" } : server);
    }
    this.changes.unshift({ revision, kind, at, id, name, transport });
    this.changes.length = Math.min(this.changes.length, HISTORY_LIMIT);
    this.#notify("servers", "changes");
    this.#scheduleStats();
    if (kind === "expired") this.#scheduleUnhealthyPoll(UNHEALTHY_POLL_MIN_MS);
  }

  #setServer(server) {
    this.servers.set(server.id, server);
    this.leases.set(server);
    this.#changedIds.add(server.id);
  }

  #removeServer(id) {
    this.servers.delete(id);
    this.leases.delete(id);
    this.#changedIds.add(id);
  }

  /** Fetches the latest changes before a snapshot, as far as the registry still stores them. */
  async #loadHistory(snapshotRevision) {
    const [, epoch, number] = REVISION.exec(snapshotRevision) ?? [];
    if (!epoch || this.#replayedEpoch === epoch || number === "0") return;
    this.#replayedEpoch = epoch;
    const since = `${epoch}-${Math.max(0, Number(number) - REPLAY_LIMIT)}`;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 5_000);
    const replayed = [];
    try {
      const response = await open(`v1/watch?since=${encodeURIComponent(since)}`, { signal: abort.signal });
      for await (const { kind: eventKind, data } of events(response)) {
        if (eventKind === "snapshot") break;
        const { revision, kind, at, server } = JSON.parse(data);
        replayed.unshift({ revision, kind, at, id: server.id, name: server.name, transport: server.transport });
        if (Number(REVISION.exec(revision)?.[2]) >= Number(number)) break;
      }
    } catch {
      // The history is optional: without it, the list begins with new changes.
    }
    clearTimeout(timer);
    abort.abort();
    const known = new Set(this.changes.map((change) => change.revision));
    this.changes.push(...replayed.filter((change) => !known.has(change.revision)));
    this.changes.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
    this.changes.length = Math.min(this.changes.length, HISTORY_LIMIT);
    this.#notify("changes");
  }

  #handleConnect() {
    this.#disconnectedAt = null;
    if (this.isComplete) this.#setState("live");
    this.#scheduleStats();
  }

  #handleDisconnect() {
    this.#disconnectedAt ??= performance.now();
    const wait = Math.max(0, this.#disconnectedAt + DISCONNECT_GRACE_MS - performance.now());
    setTimeout(() => {
      if (this.#disconnectedAt !== null && this.#watch.isOpen) this.#setState("gone");
    }, wait);
  }

  #handleRejection(problem) {
    this.problem = problem;
    this.#setState("refused");
  }

  /** Restarts the stream after another request has failed: a lost connection can stay undetected for a long time. */
  restartStream() {
    const now = performance.now();
    if (now - this.#restartedAt < STREAM_RESTART_INTERVAL_MS || !this.#watch.isOpen) return;
    this.#restartedAt = now;
    this.#watch.stop();
    this.#watch.start();
  }

  /** Stops the stream, and shows the form for another token. */
  changeToken() {
    this.#watch.stop();
    this.#handleRejection(new Problem(401, { code: "another_token", detail: "the token determines what this page can read" }));
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.#notify("state");
  }

  #scheduleStats() {
    if (this.#statsTimer !== null) return;
    const wait = Math.max(50, this.#statsSentAt + STATS_INTERVAL_MS - performance.now());
    this.#statsTimer = setTimeout(async () => {
      this.#statsTimer = null;
      this.#statsSentAt = performance.now();
      try {
        const text = await this.#statsRequest.send();
        if (text === null) return;
        this.stats = JSON.parse(text);
        this.#notify("stats");
      } catch (error) {
        if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      }
    }, wait);
  }

  /**
   * The stream reports healthy servers, and when they expire. Servers that were already unhealthy, and their deletion, have to
   * be polled: once after a snapshot, and then as long as there are any.
   */
  #scheduleUnhealthyPoll(delay) {
    clearTimeout(this.#unhealthyTimer);
    this.#unhealthyTimer = setTimeout(async () => {
      try {
        if (this.state === "live" && !document.hidden) await this.#pollUnhealthy();
      } catch (error) {
        if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
      }
      if (this.#hasUnhealthy()) this.#scheduleUnhealthyPoll(Math.min(UNHEALTHY_POLL_MAX_MS, Math.max(UNHEALTHY_POLL_MIN_MS, delay * 1.5)));
    }, delay);
  }

  #hasUnhealthy() {
    for (const { health } of this.servers.values()) if (health === "unhealthy") return true;
    return false;
  }

  async #pollUnhealthy() {
    const before = new Map(this.servers);
    const text = await this.#unhealthyRequest.send();
    if (text !== null) this.#unhealthyFirstPage = JSON.parse(text);
    const found = [...this.#unhealthyFirstPage.servers];
    for (let cursor = this.#unhealthyFirstPage.next_cursor; cursor;) {
      const page = await getJson(`v1/servers?cursor=${encodeURIComponent(cursor)}`);
      found.push(...page.servers);
      cursor = page.next_cursor;
    }
    // Events that the stream delivered in the meantime are newer.
    const isUnchanged = (id) => this.servers.get(id) === before.get(id);
    const ids = new Set(found.map(({ id }) => id));
    const removed = [...before.values()].filter(({ id, health }) => health === "unhealthy" && !ids.has(id) && isUnchanged(id));
    const added = found.filter(({ id }) => !before.has(id) && isUnchanged(id));
    for (const { id } of removed) this.#removeServer(id);
    for (const server of added) this.#setServer(server);
    if (removed.length || added.length) {
      this.#notify("servers");
      this.#scheduleStats();
    }
  }

  #notify(...parts) {
    for (const part of parts) this.#changedParts.add(part);
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      const update = { changedIds: this.#changedIds, changedParts: this.#changedParts };
      this.#changedIds = new Set();
      this.#changedParts = new Set();
      for (const listener of this.#listeners) listener(update);
    });
  }
}
