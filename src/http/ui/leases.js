// The remaining time of each lease.
//
// Refreshes are not changes, so there are no events for them, and an ETag does not cover lease times: fetching the list again
// would cost megabytes for a few numbers. So each visible row polls its own lease, about 100 bytes, at an interval that depends on
// its ttl. The response contains the remaining time, so clocks need not agree.

import { getJson, Problem, Unreachable } from "./api.js";

const IN_FLIGHT_LIMIT = 4;

export class Leases {
  /** `{ttl, expiresAt, polledAt}` by id. The times are those of `performance.now()`. */
  #leases = new Map();
  #visible = new Set();
  #inFlight = new Set();
  #clockOffset = Date.now() - performance.now();
  #isClockExact = false;

  /** Sets the registry's clock from a header `Date`, unless a lease has already set it more exactly. */
  setClock(date) {
    const time = Date.parse(date);
    if (!this.#isClockExact && !Number.isNaN(time)) this.#clockOffset = time + 500 - performance.now();
  }

  /** Sets the lease from a record. Records of a resumed stream are old, so the lease is polled at the next opportunity. */
  set(server) {
    const expiresAt = Date.parse(server.expires_at) - this.#clockOffset;
    this.#leases.set(server.id, { ttl: server.ttl, expiresAt, polledAt: 0 });
  }

  delete(id) {
    this.#leases.delete(id);
    this.#visible.delete(id);
  }

  clear() {
    this.#leases.clear();
  }

  setVisible(id, isVisible) {
    if (isVisible) this.#visible.add(id);
    else this.#visible.delete(id);
  }

  get visible() {
    return this.#visible;
  }

  /** Returns `{ms, fraction}`: the remaining time, and its fraction of the ttl. */
  remaining(id) {
    const lease = this.#leases.get(id);
    if (!lease) return null;
    const ms = Math.min(Math.max(0, lease.expiresAt - performance.now()), lease.ttl * 1000);
    return { ms, fraction: ms / (lease.ttl * 1000) };
  }

  /** Polls the visible leases that are due; calls `onUnreachable` if the registry is not reachable. */
  poll(onUnreachable) {
    const now = performance.now();
    for (const id of this.#visible) {
      if (this.#inFlight.size >= IN_FLIGHT_LIMIT) return;
      const lease = this.#leases.get(id);
      const interval = lease && Math.min(30_000, Math.max(1_000, (lease.ttl * 1000) / 6));
      if (lease && !this.#inFlight.has(id) && (lease.polledAt === 0 || now - lease.polledAt >= interval)) this.#pollLease(id, onUnreachable);
    }
  }

  async #pollLease(id, onUnreachable) {
    this.#inFlight.add(id);
    try {
      const state = await getJson(`v1/servers/${encodeURIComponent(id)}/health`);
      const now = performance.now();
      this.#clockOffset = Date.parse(state.expires_at) - state.expires_in_ms - now;
      this.#isClockExact = true;
      if (this.#leases.has(id)) this.#leases.set(id, { ttl: state.ttl, expiresAt: now + state.expires_in_ms, polledAt: now });
    } catch (error) {
      // The stream reports it if the server was deregistered.
      const lease = this.#leases.get(id);
      if (lease) lease.polledAt = performance.now();
      if (error instanceof Problem && error.status === 404) this.#leases.delete(id);
      if (error instanceof Unreachable) onUnreachable();
    } finally {
      this.#inFlight.delete(id);
    }
  }
}
