// Full-text search while typing. The registry matches and ranks; each response is a ranking of ids, and the servers themselves
// come from the store, where they are newer.

import { get, Problem, Unreachable } from "./api.js";
import { query } from "./filters.js";

const PAUSE_MS = 120;
const AGAIN_MS = 400;
const PAGE = 100;

export class Search {
  /** The servers that match, best first, or null when there is no `q`. */
  found = null;
  /** Why the registry rejected the query, or an empty string. */
  problem = "";
  /** Whether `found` is complete and belongs to the current query. */
  settled = true;

  #done;
  #asked = "";
  #abort = null;
  #due = null;

  constructor(done) {
    this.#done = done;
  }

  /** Searches again if the query or the filters have changed. */
  look(filters) {
    const path = filters.q.trim() ? query(filters, PAGE) : "";
    if (path === this.#asked) return;
    const wasNone = !this.#asked;
    this.#asked = path;
    this.#stop();
    if (!path) {
      this.found = null;
      this.problem = "";
      this.settled = true;
      return;
    }
    this.settled = false;
    this.#due = setTimeout(() => this.#run(), wasNone && this.found === null ? 0 : PAUSE_MS);
  }

  /** Repeats the search, since servers have changed. */
  again() {
    if (this.#asked && this.#due === null && this.#abort === null) this.#due = setTimeout(() => this.#run(), AGAIN_MS);
  }

  /** Repeats the search at once: with another token, or after a reconnect. */
  restart() {
    if (!this.#asked) return;
    this.#stop();
    this.#run();
  }

  #stop() {
    clearTimeout(this.#due);
    this.#due = null;
    this.#abort?.abort();
    this.#abort = null;
  }

  async #run() {
    this.#due = null;
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const first = JSON.parse((await get(this.#asked, { signal: abort.signal })).text);
      const servers = first.servers;
      if (!this.settled && first.next_cursor) {
        this.found = [...servers];
        this.#done();
      }
      for (let cursor = first.next_cursor; cursor;) {
        const page = JSON.parse((await get(`v1/servers?cursor=${encodeURIComponent(cursor)}`, { signal: abort.signal })).text);
        servers.push(...page.servers);
        cursor = page.next_cursor;
      }
      this.found = servers;
      this.problem = "";
      this.settled = true;
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error instanceof Problem && error.status === 400) {
        this.found = [];
        this.problem = error.message;
        this.settled = true;
      } else if (!(error instanceof Problem || error instanceof Unreachable)) {
        throw error;
      }
    }
    this.#abort = null;
    this.#done();
  }
}
