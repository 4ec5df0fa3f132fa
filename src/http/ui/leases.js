// What is left of each lease.
//
// Refreshes are no change, so nothing tells of them, and an ETag leaves lease times out: asking for the list again would
// cost megabytes for a few numbers. So the rows that somebody can see ask for their own lease, some 100 bytes each, as
// often as their ttl makes it worth while. That answer says how long the lease still runs, so no clock has to agree.

import { getJson, Problem, Unreachable } from "./api.js";

const AT_ONCE = 4;

export class Leases {
  /** Id to `{ttl, ends, asked}`, by the clock of `performance.now()`. */
  #leases = new Map();
  #visible = new Set();
  #asking = new Set();
  #offset = Date.now() - performance.now();
  #exact = false;

  /** The registry's clock, to the second, until an answer tells it better. */
  clockSaid(date) {
    const time = Date.parse(date);
    if (!this.#exact && !Number.isNaN(time)) this.#offset = time + 500 - performance.now();
  }

  /** Takes the lease from a record. Records of a resumed stream are old: so it is asked for at the next turn. */
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

  /** `{ms, part}`: how long it still runs, and which part of its ttl that is. */
  left(id) {
    const lease = this.#leases.get(id);
    if (!lease) return null;
    const ms = Math.min(Math.max(0, lease.ends - performance.now()), lease.ttl * 1000);
    return { ms, part: ms / (lease.ttl * 1000) };
  }

  /** Asks for the visible leases whose turn it is; `unreachable` is called when nothing answers. */
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
      // That one is gone, the stream tells.
      const lease = this.#leases.get(id);
      if (lease) lease.asked = performance.now();
      if (error instanceof Problem && error.status === 404) this.#leases.delete(id);
      if (error instanceof Unreachable) unreachable();
    } finally {
      this.#asking.delete(id);
    }
  }
}
