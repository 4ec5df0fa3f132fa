/** Announces a server of the official MCP SDK: registers it for as long as its process runs. */

import { basename } from "node:path";
import { newId } from "./requests.js";
import { Client } from "./client.js";
import { PaulinaError } from "./errors.js";
import { onProcessExit } from "./exit-hooks.js";
import type { Heartbeat, HeartbeatStatus } from "./heartbeat.js";
import { type McpServerLike, introspect, protocolServer, serverMetadata } from "./introspect.js";
import { onListChanged } from "./list-changed.js";
import { sleep } from "./time.js";
import type { Capabilities, Input, Registered, Registration } from "./types.js";
import type { RequestTarget } from "./transport.js";

export interface AnnounceOptions {
  /** By default, a client of the registry that the environment variables name. */
  client?: Client | undefined;
  /** A stable id: a registration under it is replaced. By default one is generated. */
  id?: string | undefined;
  /** By default read from the server, like `title`, `version` and `description`. */
  name?: string | undefined;
  title?: string | undefined;
  version?: string | undefined;
  description?: string | undefined;
  /** By default read from the server. */
  capabilities?: Capabilities | undefined;
  tags?: readonly string[] | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  /** How long the registration lasts without a refresh, in seconds; by default 30. */
  ttl?: number | undefined;
  /** The command with which clients start the server; by default that of this process, unless `url` is set. */
  command?: readonly string[] | undefined;
  /** The environment variables that the server needs. A name without options is required and secret. */
  environment?: readonly (string | Input)[] | undefined;
  /** The address of a server over HTTP. */
  url?: string | undefined;
  /** The transport of a server over HTTP; by default `streamable-http`. */
  transport?: "streamable-http" | "sse" | undefined;
  /** The headers that clients have to send. A name without options is required and secret. */
  headers?: readonly (string | Input)[] | undefined;
  /** Called with each log line; by default, lines go to standard error. */
  log?: ((line: string) => void) | undefined;
}

/** How long to wait for more changes before the server is read again, in milliseconds. */
const DEBOUNCE = 50;

/**
 * Registers a server with its capabilities, keeps it registered, and deregisters it when the process ends.
 *
 * Call it once, after registering the tools. It never throws and never waits: if the registry is down, the server is registered
 * as soon as one is available. It writes nothing to standard output.
 */
export function announce(server: McpServerLike, options: AnnounceOptions = {}): Announcement {
  return new Announcement(server, options);
}

/** Returned by {@link announce}. */
export class Announcement {
  /** The id of the registration. */
  readonly id: string;
  readonly #server: McpServerLike;
  readonly #options: AnnounceOptions;
  readonly #client: Client | PaulinaError;
  readonly #removeListener: () => void;
  readonly #removeExitHook: () => void;
  #heartbeat: Heartbeat | undefined;
  #capabilities: Capabilities;
  #lastRegistration = "";
  #lastLog = "";
  #updating: Promise<void> | undefined;
  #changed = false;
  #stopped = false;

  /** @internal */
  constructor(server: McpServerLike, options: AnnounceOptions) {
    this.#server = server;
    this.#options = options;
    this.#client = clientOf(options);
    this.#capabilities = options.capabilities ?? {};
    this.id = options.id ?? newId(this.#registration().name);
    this.#removeListener = onListChanged(server, () => this.changed());
    this.#removeExitHook = onProcessExit(this);
    this.changed();
  }

  /** Waits until the server is registered; throws an error that waiting does not fix. */
  async registered(): Promise<Registered> {
    if (this.#client instanceof PaulinaError) throw this.#client;
    await this.#updating;
    if (!this.#heartbeat)
      throw new PaulinaError("the server is not registered: the announcement was stopped, or see its log");
    return this.#heartbeat.registered();
  }

  /** Reads the server again. Needed only if it does not send `list_changed` notifications. */
  changed(): void {
    this.#changed = true;
    const failed = (error: unknown) => this.#log(`not registered: ${String(error)}`);
    this.#updating ??= this.#update()
      .catch(failed)
      .finally(() => {
        this.#updating = undefined;
        // It may have changed after the last read.
        if (this.#changed && !this.#stopped) this.changed();
      });
  }

  /** Deregisters the server; if the registry does not answer within two seconds, the lease expires. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#removeListener();
    await this.#heartbeat?.stop();
    this.#removeExitHook();
  }

  /** @internal */
  shutdownRequests(): RequestTarget[] {
    return this.#heartbeat?.shutdownRequests() ?? [];
  }

  /** @internal */
  get token(): string | undefined {
    return this.#heartbeat?.token;
  }

  async #update(): Promise<void> {
    // The first time, the program may register more tools synchronously.
    await undefined;
    while (this.#changed && !this.#stopped) {
      if (this.#heartbeat) await sleep(DEBOUNCE, { ref: false });
      this.#changed = false;
      if (!this.#options.capabilities) {
        const report = (problem: string) => this.#log(problem);
        this.#capabilities = await introspect(protocolServer(this.#server), this.#capabilities, report);
      }
      if (!this.#stopped) this.#register(this.#registration());
    }
  }

  #register(registration: Registration): void {
    if (this.#client instanceof PaulinaError) return this.#log(`not registered: ${this.#client.message}`);
    const json = JSON.stringify(registration);
    if (json === this.#lastRegistration) return;
    this.#lastRegistration = json;
    if (this.#heartbeat) this.#heartbeat.replace(registration);
    else this.#heartbeat = this.#client.keepAlive(registration, { onStatus: (status) => this.#logStatus(status) });
  }

  #registration(): Registration {
    const { tags, metadata, ttl, url, transport, command, environment, headers, ...given } = this.#options;
    const own = serverMetadata(protocolServer(this.#server));
    const fields = {
      id: this.id,
      name: given.name ?? own.name ?? basename(process.argv[1] ?? "server").replace(/\.\w+$/, ""),
      title: given.title ?? own.title,
      version: given.version ?? own.version,
      description: given.description ?? own.description,
      capabilities: this.#capabilities,
      ...{ tags, metadata, ttl },
    };
    if (url !== undefined) return { ...fields, transport: transport ?? "streamable-http", url, headers: inputs(headers) };
    return { ...fields, transport: "stdio", command: command ?? ownCommand(), environment: inputs(environment) };
  }

  #logStatus(status: HeartbeatStatus): void {
    if (status.state === "alive") {
      const {
        name,
        capabilities: { tools, resources, prompts },
      } = status.registered;
      this.#log(
        `registered "${name}" as ${this.id}: tools ${tools.length}, resources ${resources.length}, prompts ${prompts.length}`,
      );
    }
    if (status.state === "failing") this.#log(`not registered for now: ${status.error.message}`);
    if (status.state === "replaced")
      this.#log(`another process has registered ${this.id}: it is not refreshed any more`);
  }

  /** Logs a line, unless it is the same as the one before. */
  #log(line: string): void {
    if (line === this.#lastLog) return;
    this.#lastLog = line;
    const { log = (line: string) => console.error(`paulina: ${line}`) } = this.#options;
    log(line);
  }
}

/** Set by `paulina announce` and `paulina inspect` for the server that they start. */
const ANNOUNCED = "PAULINA_ANNOUNCED";

/** An invalid address or token is logged, and does not end the server. */
function clientOf({ client }: AnnounceOptions): Client | PaulinaError {
  if (process.env[ANNOUNCED]) return new PaulinaError("the command that started this server announces it");
  try {
    return client ?? new Client();
  } catch (error) {
    return error instanceof PaulinaError ? error : new PaulinaError(String(error));
  }
}

/** The command that started this process, without the flags for a debugger, whose port is in use. */
function ownCommand(): string[] {
  const flags = process.execArgv.filter((flag) => !flag.startsWith("--inspect"));
  return [process.execPath, ...flags, ...process.argv.slice(1)];
}

function inputs(given: readonly (string | Input)[] | undefined): Input[] | undefined {
  return given?.map((input) => (typeof input === "string" ? { name: input, required: true, secret: true } : input));
}
