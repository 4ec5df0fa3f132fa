/** A server of the official MCP SDK, in the registry for as long as its process lives. */

import { basename } from "node:path";
import { newId } from "./requests.js";
import { Client } from "./client.js";
import { type McpServerLike, capabilities, inside, introduced } from "./describe.js";
import { PaulinaError } from "./errors.js";
import { atTheEnd } from "./exit-hooks.js";
import { hear } from "./list-changed.js";
import type { Beat, Heartbeat } from "./heartbeat.js";
import { pause } from "./time.js";
import type { Capabilities, Input, Registered, Registration } from "./types.js";
import type { Place } from "./transport.js";

export interface AnnounceOptions {
  /** Of the registry; where the environment says, if not set. */
  client?: Client | undefined;
  /** Stable: what was registered under it is replaced. Absent, one is made. */
  id?: string | undefined;
  /** What the server says itself, if not set; as `title`, `version` and `description`. */
  name?: string | undefined;
  title?: string | undefined;
  version?: string | undefined;
  description?: string | undefined;
  /** What is read from the server, if not set. */
  capabilities?: Capabilities | undefined;
  tags?: readonly string[] | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  /** How long it stays in the registry without a sign of life, in seconds; 30 if not set. */
  ttl?: number | undefined;
  /** How clients start it; as this process was started, if neither this nor `url` is set. */
  command?: readonly string[] | undefined;
  /** Variables that its environment needs. A bare name is required and secret. */
  environment?: readonly (string | Input)[] | undefined;
  /** Where clients reach it, if it speaks HTTP. */
  url?: string | undefined;
  /** What it speaks there; `streamable-http` if not set. */
  transport?: "streamable-http" | "sse" | undefined;
  /** Headers that clients have to send. A bare name is required and secret. */
  headers?: readonly (string | Input)[] | undefined;
  /** Told what becomes of it; standard error, if not set. */
  log?: ((line: string) => void) | undefined;
}

/** How long it is waited for more changes before the server is read again. */
const SETTLING = 50;

/**
 * Registers a server with all that it can do, keeps it registered, and takes it out when the process ends.
 *
 * Called once, when its tools are registered. It never throws and never waits: while the registry is down the server runs
 * all the same, and is registered when the registry is there. It writes nothing to standard output.
 */
export function announce(server: McpServerLike, options: AnnounceOptions = {}): Announcement {
  return new Announcement(server, options);
}

/** Made by {@link announce}. */
export class Announcement {
  /** The id under which the server is registered. */
  readonly id: string;
  readonly #server: McpServerLike;
  readonly #options: AnnounceOptions;
  readonly #client: Client | PaulinaError;
  readonly #unhear: () => void;
  readonly #leave: () => void;
  #heartbeat: Heartbeat | undefined;
  #read: Capabilities;
  #registered = "";
  #said = "";
  #reading: Promise<void> | undefined;
  #changed = false;
  #stopped = false;

  /** @internal */
  constructor(server: McpServerLike, options: AnnounceOptions) {
    this.#server = server;
    this.#options = options;
    this.#client = clientOf(options);
    this.#read = options.capabilities ?? {};
    this.id = options.id ?? newId(this.#registration().name);
    this.#unhear = hear(server, () => this.changed());
    this.#leave = atTheEnd(this);
    this.changed();
  }

  /** Waits until the server is registered; throws why it never will be, unless something is mended. */
  async registered(): Promise<Registered> {
    if (this.#client instanceof PaulinaError) throw this.#client;
    await this.#reading;
    if (!this.#heartbeat)
      throw new PaulinaError("the server is not registered: the announcement was stopped, or its log says why");
    return this.#heartbeat.registered();
  }

  /** Reads the server again. Needed only where it does not say itself that a list of its has changed. */
  changed(): void {
    this.#changed = true;
    const failed = (error: unknown) => this.#say(`not registered: ${String(error)}`);
    this.#reading ??= this.#follow()
      .catch(failed)
      .finally(() => {
        this.#reading = undefined;
        // It may have changed just when the last reading was done.
        if (this.#changed && !this.#stopped) this.changed();
      });
  }

  /** Takes the server out; within two seconds, or its lease runs out by itself. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unhear();
    await this.#heartbeat?.stop();
    this.#leave();
  }

  /** @internal */
  farewells(): Place[] {
    return this.#heartbeat?.farewells() ?? [];
  }

  /** @internal */
  get token(): string | undefined {
    return this.#heartbeat?.token;
  }

  async #follow(): Promise<void> {
    // The first time, the program may still be setting it up in the same breath.
    await undefined;
    while (this.#changed && !this.#stopped) {
      if (this.#heartbeat) await pause(SETTLING, { ref: false });
      this.#changed = false;
      if (!this.#options.capabilities) {
        this.#read = await capabilities(inside(this.#server), this.#read, (problem) => this.#say(problem));
      }
      if (!this.#stopped) this.#register(this.#registration());
    }
  }

  #register(registration: Registration): void {
    if (this.#client instanceof PaulinaError) return this.#say(`not registered: ${this.#client.message}`);
    const all = JSON.stringify(registration);
    if (all === this.#registered) return;
    this.#registered = all;
    if (this.#heartbeat) this.#heartbeat.replace(registration);
    else this.#heartbeat = this.#client.keepAlive(registration, { onBeat: (beat) => this.#tell(beat) });
  }

  #registration(): Registration {
    const { tags, metadata, ttl, url, transport, command, environment, headers, ...given } = this.#options;
    const own = introduced(inside(this.#server));
    const said = {
      id: this.id,
      name: given.name ?? own.name ?? basename(process.argv[1] ?? "server").replace(/\.\w+$/, ""),
      title: given.title ?? own.title,
      version: given.version ?? own.version,
      description: given.description ?? own.description,
      capabilities: this.#read,
      ...{ tags, metadata, ttl },
    };
    if (url !== undefined) return { ...said, transport: transport ?? "streamable-http", url, headers: inputs(headers) };
    return { ...said, transport: "stdio", command: command ?? ownCommand(), environment: inputs(environment) };
  }

  #tell(beat: Beat): void {
    if (beat.state === "alive") {
      const {
        name,
        capabilities: { tools, resources, prompts },
      } = beat.registered;
      this.#say(
        `registered "${name}" as ${this.id}: tools ${tools.length}, resources ${resources.length}, prompts ${prompts.length}`,
      );
    }
    if (beat.state === "failing") this.#say(`not registered for now: ${beat.error.message}`);
    if (beat.state === "replaced")
      this.#say(`another process has registered ${this.id} since: the registry is left to it while it holds it`);
  }

  /** Says each thing once. */
  #say(line: string): void {
    if (line === this.#said) return;
    this.#said = line;
    const { log = (line: string) => console.error(`paulina: ${line}`) } = this.#options;
    log(line);
  }
}

/** Set by `paulina announce` and `paulina inspect` for the server that they start. */
const ANNOUNCED = "PAULINA_ANNOUNCED";

/** What is wrong with the address or the token is told, and ends no server. */
function clientOf({ client }: AnnounceOptions): Client | PaulinaError {
  if (process.env[ANNOUNCED]) return new PaulinaError("whoever has started this server announces it");
  try {
    return client ?? new Client();
  } catch (error) {
    return error instanceof PaulinaError ? error : new PaulinaError(String(error));
  }
}

/** How this process was started; not for a debugger, whose port is taken. */
function ownCommand(): string[] {
  const flags = process.execArgv.filter((flag) => !flag.startsWith("--inspect"));
  return [process.execPath, ...flags, ...process.argv.slice(1)];
}

function inputs(given: readonly (string | Input)[] | undefined): Input[] | undefined {
  return given?.map((input) => (typeof input === "string" ? { name: input, required: true, secret: true } : input));
}
