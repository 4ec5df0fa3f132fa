import { type RequestOptions, deregister, getOptional, health, refresh, register } from "./requests.js";
import { NoHealthyServers } from "./errors.js";
import { Failover } from "./failover.js";
import { type ServerFilters, type ToolFilters, type WatchFilters, query } from "./filter.js";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.js";
import type {
  Lease,
  LeaseState,
  Refreshed,
  RefreshedMany,
  Registered,
  Registration,
  Server,
  ServerPage,
  Stats,
  ToolEntry,
  ToolPage,
  WatchEvent,
} from "./types.js";
import { type WatchOptions, watch } from "./watch.js";

export interface ClientOptions {
  /** `http://…`, `https://…`, or `unix:` and a path. Several are a primary and its standby. */
  addresses?: string | readonly string[] | undefined;
  token?: string | undefined;
  /** How long one address may take to answer; by default 10,000. */
  timeoutMs?: number | undefined;
}

/** How many entries a page contains at most. */
const PAGE_LIMIT = 1_000;

/**
 * A client of one registry.
 *
 * The default of `addresses` is `PAULINA_URL` (several addresses are separated by commas), then http://127.0.0.1:7285; the
 * default of `token` is `PAULINA_TOKEN`. The client connects when it sends the first request.
 */
export class Client {
  readonly #failover: Failover;
  readonly #options: RequestOptions;

  constructor({
    addresses = process.env["PAULINA_URL"] || "http://127.0.0.1:7285",
    token = process.env["PAULINA_TOKEN"],
    timeoutMs = 10_000,
  }: ClientOptions = {}) {
    const all = typeof addresses === "string" ? addresses.split(",") : addresses;
    const given = all.map((address) => address.trim()).filter((address) => address !== "");
    this.#failover = new Failover(given, token || undefined);
    this.#options = { timeout: timeoutMs };
  }

  /** The addresses of the registry. */
  get addresses(): string[] {
    return this.#failover.addresses;
  }

  /**
   * Registers a server, or replaces the registration under its id. With `newOnly` it fails if the id is taken: the `code` of the
   * {@link ApiError} is `already_registered`. The caller has to refresh the lease; {@link keepAlive} registers and refreshes.
   */
  register(
    registration: Registration,
    { newOnly = false }: { newOnly?: boolean | undefined } = {},
  ): Promise<Registered> {
    return register(this.#failover, registration, newOnly, this.#options);
  }

  /** Refreshes a lease. */
  async refresh(lease: Lease | string): Promise<Refreshed> {
    return refresh(this.#failover, leaseOf(lease), this.#options);
  }

  /** Refreshes the leases of many ids in one request, and returns which ids are not registered. */
  async refreshMany(ids: readonly string[]): Promise<RefreshedMany> {
    const answer = await this.#failover.send(
      { method: "POST", path: ["v1", "refresh"], body: { ids } },
      this.#options.timeout,
    );
    return answer.json();
  }

  /** Deregisters a server. */
  async deregister(lease: Lease | string): Promise<void> {
    return deregister(this.#failover, leaseOf(lease), this.#options);
  }

  /** Returns one server in full; undefined if the id is not registered. */
  get(id: string): Promise<Server | undefined> {
    return getOptional(this.#failover, id, [], this.#options);
  }

  /** Returns the health of a server and the remaining time of its lease; undefined if the id is not registered. */
  health(id: string): Promise<LeaseState | undefined> {
    return health(this.#failover, id, this.#options);
  }

  /** The servers that match, requested page by page: all of them, or up to `limit`. */
  find(filters: ServerFilters = {}): AsyncGenerator<Server, void, undefined> {
    return all(filters, async (page) => {
      const { servers, next_cursor } = await this.findPage(page);
      return [servers, next_cursor];
    });
  }

  /** Returns one page of the servers that match. */
  findPage(filters: ServerFilters = {}): Promise<ServerPage> {
    return this.#get("servers", filters);
  }

  /** The tools that match, each once, with the servers that offer it: all of them, or up to `limit`. */
  tools(filters: ToolFilters = {}): AsyncGenerator<ToolEntry, void, undefined> {
    return all(filters, async (page) => {
      const { tools, next_cursor } = await this.toolsPage(page);
      return [tools, next_cursor];
    });
  }

  /** Returns one page of the tools that match. */
  toolsPage(filters: ToolFilters = {}): Promise<ToolPage> {
    return this.#get("tools", filters);
  }

  /** Returns the numbers of registered servers, tools, resources and prompts. */
  stats(): Promise<Stats> {
    return this.#get("stats", {});
  }

  /** Returns a random healthy server of this name, so that many clients are spread over all of them. */
  async pick(name: string): Promise<Server> {
    const found: Server[] = [];
    // No limit, but the largest pages.
    for await (const server of this.find({ name, limit: Infinity })) found.push(server);
    const chosen = found[Math.floor(Math.random() * found.length)];
    if (!chosen) throw new NoHealthyServers(name);
    return chosen;
  }

  /**
   * Watches the servers that match: first a snapshot of all of them, then one event for each change, in order. A lost connection
   * is reopened after the last event, without gaps or duplicates, or with a new snapshot, which replaces everything received
   * before.
   */
  watch(filters: WatchFilters = {}, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    return watch(this.#failover, filters, this.#options.timeout, options);
  }

  /**
   * Registers a server, refreshes its lease, and deregisters it when the heartbeat is stopped. The heartbeat starts at once, in
   * the background. It retries while the registry is down, registers again if the registry has lost the server, and does not
   * keep the process alive.
   */
  keepAlive(registration: Registration, options: HeartbeatOptions = {}): Heartbeat {
    return new Heartbeat(this.#failover, registration, this.#options.timeout, options);
  }

  async #get<T>(what: string, filters: object): Promise<T> {
    const answer = await this.#failover.send(
      { method: "GET", path: ["v1", what], query: query(filters) },
      this.#options.timeout,
    );
    return answer.json();
  }
}

function leaseOf(lease: Lease | string): Lease {
  return typeof lease === "string" ? { id: lease } : lease;
}

async function* all<T, F extends ToolFilters>(
  filters: F,
  page: (filters: F) => Promise<[T[], string | null]>,
): AsyncGenerator<T, void, undefined> {
  const { limit, cursor: begin } = filters;
  const asked = limit === undefined ? filters : { ...filters, limit: Math.min(limit, PAGE_LIMIT) };
  let left = limit ?? Infinity;
  for (let cursor = begin; ;) {
    const [found, next] = await page({ ...asked, cursor });
    yield* found.slice(0, left);
    left -= found.length;
    if (next === null || left <= 0) return;
    cursor = next;
  }
}
