import { type Patience, deregister, health, look, refresh, register } from "./requests.js";
import { NoHealthyServers } from "./errors.js";
import { Exchange } from "./failover.js";
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
  /** Where the registry is: `http://…`, `https://…`, or `unix:` and a path. Several are a primary and its standby. */
  addresses?: string | readonly string[] | undefined;
  token?: string | undefined;
  /** How long one address may take to answer; 10,000 if not set. */
  timeoutMs?: number | undefined;
}

/** How many a page holds at most. */
const WHOLE_PAGE = 1_000;

/**
 * A client of one registry.
 *
 * Without options it asks where `PAULINA_URL` says (several addresses with commas between them), else
 * http://127.0.0.1:7285, with the token in `PAULINA_TOKEN`. It connects when it is asked something.
 */
export class Client {
  readonly #exchange: Exchange;
  readonly #patience: Patience;

  constructor({
    addresses = process.env["PAULINA_URL"] || "http://127.0.0.1:7285",
    token = process.env["PAULINA_TOKEN"],
    timeoutMs = 10_000,
  }: ClientOptions = {}) {
    const all = typeof addresses === "string" ? addresses.split(",") : addresses;
    const given = all.map((address) => address.trim()).filter((address) => address !== "");
    this.#exchange = new Exchange(given, token || undefined);
    this.#patience = { limit: timeoutMs };
  }

  /** Where it asks. */
  get addresses(): string[] {
    return this.#exchange.addresses;
  }

  /**
   * Registers a server, or replaces what was registered under its id. With `onlyNew` an id that is taken is refused: the
   * `code` is `already_registered`. Whoever registers keeps the lease alive: see {@link keepAlive}.
   */
  register(
    registration: Registration,
    { onlyNew = false }: { onlyNew?: boolean | undefined } = {},
  ): Promise<Registered> {
    return register(this.#exchange, registration, onlyNew, this.#patience);
  }

  /** Renews a lease. */
  async refresh(lease: Lease | string): Promise<Refreshed> {
    return refresh(this.#exchange, named(lease), this.#patience);
  }

  /** Renews the leases of many ids in one call, and says which of them are not registered. */
  async refreshMany(ids: readonly string[]): Promise<RefreshedMany> {
    const answer = await this.#exchange.ask(
      { method: "POST", path: ["v1", "refresh"], body: { ids } },
      this.#patience.limit,
    );
    return answer.json();
  }

  /** Takes a server out. */
  async deregister(lease: Lease | string): Promise<void> {
    return deregister(this.#exchange, named(lease), this.#patience);
  }

  /** One server with all that it registered; undefined if the id is not registered. */
  get(id: string): Promise<Server | undefined> {
    return look(this.#exchange, id, [], this.#patience);
  }

  /** Whether a server is alive, and what is left of its lease; undefined if the id is not registered. */
  health(id: string): Promise<LeaseState | undefined> {
    return health(this.#exchange, id, this.#patience);
  }

  /** The servers that match, asked for page by page: all of them, or as many as `limit` says. */
  find(filters: ServerFilters = {}): AsyncGenerator<Server, void, undefined> {
    return all(filters, async (page) => {
      const { servers, next_cursor } = await this.findPage(page);
      return [servers, next_cursor];
    });
  }

  /** The servers that match, a page of them. */
  findPage(filters: ServerFilters = {}): Promise<ServerPage> {
    return this.#read("servers", filters);
  }

  /** The tools that match, each once, with the servers that offer it: all of them, or as many as `limit` says. */
  tools(filters: ToolFilters = {}): AsyncGenerator<ToolEntry, void, undefined> {
    return all(filters, async (page) => {
      const { tools, next_cursor } = await this.toolsPage(page);
      return [tools, next_cursor];
    });
  }

  /** The tools that match, a page of them. */
  toolsPage(filters: ToolFilters = {}): Promise<ToolPage> {
    return this.#read("tools", filters);
  }

  /** Totals of what is registered. */
  stats(): Promise<Stats> {
    return this.#read("stats", {});
  }

  /** A healthy server of this name: any one of them, by chance, so that many clients spread over all. */
  async pick(name: string): Promise<Server> {
    const found: Server[] = [];
    // All of them as without a limit, and in the largest pages that there are.
    for await (const server of this.find({ name, limit: Infinity })) found.push(server);
    const chosen = found[Math.floor(Math.random() * found.length)];
    if (!chosen) throw new NoHealthyServers(name);
    return chosen;
  }

  /**
   * Tells of the servers that match: all of them first, and then every change, in its order. A stream that breaks off goes
   * on by itself where it was, with no gap and no repeat, or with a snapshot, which replaces all that was known.
   */
  watch(filters: WatchFilters = {}, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    return watch(this.#exchange, filters, this.#patience.limit, options);
  }

  /**
   * Registers a server, keeps its lease alive, registers it again when the registry has lost it, and takes it out when the
   * heartbeat is stopped. It begins at once in the background, does not mind that the registry is down, and keeps no process
   * alive.
   */
  keepAlive(registration: Registration, options: HeartbeatOptions = {}): Heartbeat {
    return new Heartbeat(this.#exchange, registration, this.#patience.limit, options);
  }

  async #read<T>(what: string, filters: object): Promise<T> {
    const answer = await this.#exchange.ask(
      { method: "GET", path: ["v1", what], query: query(filters) },
      this.#patience.limit,
    );
    return answer.json();
  }
}

function named(lease: Lease | string): Lease {
  return typeof lease === "string" ? { id: lease } : lease;
}

async function* all<T, F extends ToolFilters>(
  filters: F,
  page: (filters: F) => Promise<[T[], string | null]>,
): AsyncGenerator<T, void, undefined> {
  const { limit, cursor: begin } = filters;
  const asked = limit === undefined ? filters : { ...filters, limit: Math.min(limit, WHOLE_PAGE) };
  let left = limit ?? Infinity;
  for (let cursor = begin; ;) {
    const [found, next] = await page({ ...asked, cursor });
    yield* found.slice(0, left);
    left -= found.length;
    if (next === null || left <= 0) return;
    cursor = next;
  }
}
