// Full-text search while typing. The registry matches and ranks; each response is a ranking of ids, and the servers themselves
// come from the store, where they are newer.

import { get, Problem, Unreachable } from "./api.js";
import { serversPath } from "./filters.js";

const DEBOUNCE_MS = 120;
const REPEAT_DELAY_MS = 400;
const PAGE_SIZE = 100;

export class Search {
  /** The servers that match, best first, or null when there is no `q`. */
  results = null;
  /** Why the registry rejected the query, or an empty string. */
  problem = "";
  /** Whether `results` is complete and belongs to the current query. */
  isComplete = true;

  #onResults;
  #path = "";
  #abort = null;
  #timer = null;

  constructor(onResults) {
    this.#onResults = onResults;
  }

  /** Searches again if the query or the filters have changed. */
  update(filters) {
    const path = filters.q.trim() ? serversPath(filters, PAGE_SIZE) : "";
    if (path === this.#path) return;
    const wasInactive = !this.#path;
    this.#path = path;
    this.#cancel();
    if (!path) {
      this.results = null;
      this.problem = "";
      this.isComplete = true;
      return;
    }
    this.isComplete = false;
    this.#timer = setTimeout(() => this.#run(), wasInactive && this.results === null ? 0 : DEBOUNCE_MS);
  }

  /** Schedules the same search again, since servers have changed. */
  scheduleRepeat() {
    if (this.#path && this.#timer === null && this.#abort === null) this.#timer = setTimeout(() => this.#run(), REPEAT_DELAY_MS);
  }

  /** Repeats the search at once: with another token, or after a reconnect. */
  restart() {
    if (!this.#path) return;
    this.#cancel();
    this.#run();
  }

  #cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#abort?.abort();
    this.#abort = null;
  }

  async #run() {
    this.#timer = null;
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const first = JSON.parse((await get(this.#path, { signal: abort.signal })).text);
      const servers = first.servers;
      if (!this.isComplete && first.next_cursor) {
        this.results = [...servers];
        this.#onResults();
      }
      for (let cursor = first.next_cursor; cursor;) {
        const page = JSON.parse((await get(`v1/servers?cursor=${encodeURIComponent(cursor)}`, { signal: abort.signal })).text);
        servers.push(...page.servers);
        cursor = page.next_cursor;
      }
      this.results = servers;
      this.problem = "";
      this.isComplete = true;
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error instanceof Problem && error.status === 400) {
        this.results = [];
        this.problem = error.message;
        this.isComplete = true;
      } else if (!(error instanceof Problem || error instanceof Unreachable)) {
        throw error;
      }
    }
    this.#abort = null;
    this.#onResults();
  }
}
