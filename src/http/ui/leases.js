// The remaining time of each lease.
//
// Refreshes are not changes, so there are no events for them, and an ETag does not cover lease times: fetching the list again
// would cost megabytes for a few numbers. So each visible row polls its own lease, about 100 bytes, at an interval that depends on
// its ttl. The response contains the remaining time, so clocks need not agree.

import { getJson, Problem, Unreachable } from "./api.js";

const AT_ONCE = 4;

export class Leases {
  /** Id to `{ttl, ends, asked}`, by the clock of `performance.now()`. */
  #leases = new Map();
  #visible = new Set();
  #asking = new Set();
  #offset = Date.now() - performance.now();
  #exact = false;

  /** Sets the registry's clock, to the second, until a response gives it more exactly. */
  clockSaid(date) {
    const time = Date.parse(date);
    if (!this.#exact && !Number.isNaN(time)) this.#offset = time + 500 - performance.now();
  }

  /** Takes the lease from a record. Records of a resumed stream are old, so it is polled at the next opportunity. */
  set(server) {
    const ends = Date.parse(server.expires_at) - this.#offset;
    this.#leases.set(server.id, { ttl: server.ttl, ends, asked: 0 });
  }

  delete(id) {
    this.#leases.delete(id);
    this.#visible.delete(id);
  }

  clear() {
    this.#leases.clear();
  }

  see(id, isVisible) {
    if (isVisible) this.#visible.add(id);
    else this.#visible.delete(id);
  }

  get visible() {
    return this.#visible;
  }

  /** Returns `{ms, part}`: the remaining time, and its fraction of the ttl. */
  left(id) {
    const lease = this.#leases.get(id);
    if (!lease) return null;
    const ms = Math.min(Math.max(0, lease.ends - performance.now()), lease.ttl * 1000);
    return { ms, part: ms / (lease.ttl * 1000) };
  }

  /** Polls the visible leases that are due; `unreachable` is called if the registry is not reachable. */
  ask(unreachable) {
    const now = performance.now();
    for (const id of this.#visible) {
      if (this.#asking.size >= AT_ONCE) return;
      const lease = this.#leases.get(id);
      const every = lease && Math.min(30_000, Math.max(1_000, (lease.ttl * 1000) / 6));
      if (lease && !this.#asking.has(id) && (lease.asked === 0 || now - lease.asked >= every)) this.#askOne(id, unreachable);
    }
  }

  async #askOne(id, unreachable) {
    this.#asking.add(id);
    try {
      const state = await getJson(`v1/servers/${encodeURIComponent(id)}/health`);
      const now = performance.now();
      this.#offset = Date.parse(state.expires_at) - state.expires_in_ms - now;
      this.#exact = true;
      if (this.#leases.has(id)) this.#leases.set(id, { ttl: state.ttl, ends: now + state.expires_in_ms, asked: now });
    } catch (error) {
      // The stream reports it if the server was deregistered.
      const lease = this.#leases.get(id);
      if (lease) lease.asked = performance.now();
      if (error instanceof Problem && error.status === 404) this.#leases.delete(id);
      if (error instanceof Unreachable) unreachable();
    } finally {
      this.#asking.delete(id);
    }
  }
}
