/// <reference lib="esnext.disposable" preserve="true" />
/** A registration that is kept alive. */

import { type Patience, deregister, deregistration, health, newId, refresh, register } from "./requests.js";
import { LeaseReplaced, NotRegistered, PaulinaError } from "./errors.js";
import type { Exchange } from "./failover.js";
import { pause, shortened } from "./time.js";
import type { Refreshed, Registered, Registration } from "./types.js";
import type { Place } from "./transport.js";

/** How a heartbeat goes. */
export type Beat =
  /** There has been no answer yet. */
  | { state: "starting" }
  /** The server is registered, and its lease was renewed when last tried. */
  | { state: "alive"; registered: Registered }
  /** The last try failed. It goes on trying. */
  | { state: "failing"; error: PaulinaError }
  /** The server was not alive when it was asked: its lease runs out, unless it answers again. */
  | { state: "lapsing" }
  /** Another process has registered the id since: this one has let go, and takes it up again only when nobody holds it. */
  | { state: "replaced" }
  | { state: "stopped" };

export interface HeartbeatOptions {
  /** Asked before each time. While it says no, or fails, the lease runs out. */
  isAlive?: (() => boolean | Promise<boolean>) | undefined;
  /** Told of each beat. */
  onBeat?: ((beat: Beat) => void) | undefined;
}

const TTL = 30;
const LONGEST = 86_400;
/** The first pause after a failure; each further one is twice as long. */
const FIRST_PAUSE = 250;
/** How long it takes at most to stop: half of it for what is on its way, half to take the server out. */
const FAREWELL = 2_000;
/** How many earlier leases are known again. */
const REMEMBERED = 32;

type Known = Registration & { id: string };

/** What the registry is believed to hold, and what was sent for it. */
interface Held {
  sent: Known;
  registered: Registered;
}

/** Made by {@link Client.keepAlive}. */
export class Heartbeat {
  /** The id under which the server is registered. */
  readonly id: string;
  readonly #exchange: Exchange;
  readonly #timeout: number;
  readonly #options: HeartbeatOptions;
  readonly #running: Promise<void>;
  /** Aborted to give up what is on its way. */
  readonly #given = new AbortController();
  readonly #givenUp: Promise<false>;
  readonly #waiting = new Set<() => void>();
  #wanted: Known;
  #held: Held | undefined;
  #registering = false;
  /** Leases of this server before that one. */
  readonly #earlier: string[] = [];
  #beat: Beat = { state: "starting" };
  #failures = 0;
  #stopping = false;
  #wake = new AbortController();

  /** @internal */
  constructor(exchange: Exchange, registration: Registration, timeout: number, options: HeartbeatOptions) {
    this.id = registration.id ?? newId(registration.name);
    this.#exchange = exchange;
    this.#timeout = timeout;
    this.#options = options;
    this.#wanted = { ...registration, id: this.id };
    this.#givenUp = new Promise((resolve) => this.#given.signal.addEventListener("abort", () => resolve(false)));
    this.#running = this.#run();
  }

  /** How it goes. */
  get beat(): Beat {
    return this.#beat;
  }

  /** Waits until the server is registered; throws why it never will be, unless something is mended. */
  async registered(): Promise<Registered> {
    // Whoever waits wants the process to be there.
    const here = setInterval(() => undefined, 60_000);
    try {
      for (;;) {
        const beat = this.#beat;
        if (beat.state === "alive") return beat.registered;
        if (beat.state === "failing" && !beat.error.temporary) throw beat.error;
        if (beat.state === "replaced") throw new LeaseReplaced(this.id);
        if (beat.state === "stopped") throw new NotRegistered(this.id);
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    } finally {
      clearInterval(here);
    }
  }

  /** Registers something else under the same id: what the server can do has changed. */
  replace(registration: Registration): void {
    this.#wanted = { ...registration, id: this.id };
    this.#wake.abort();
  }

  /** Takes the server out; within two seconds, or its lease runs out by itself. */
  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.#wake.abort();
      // What is on its way may be done: it is better known under which lease.
      const timer = setTimeout(() => this.#given.abort(), FAREWELL / 2);
      void this.#running.finally(() => clearTimeout(timer));
    }
    await this.#running;
  }

  /** `await using heartbeat = client.keepAlive(…)` stops it where its scope ends. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * @internal Where a process that ends now sends its deregistration; nowhere, while nothing is registered. The registry may
   * have carried out a registration whose answer, which names its lease, is still on its way: then it goes without a lease.
   */
  farewells(): Place[] {
    const target = this.#registering ? { id: this.id } : this.#held?.registered;
    return target ? this.#exchange.places(deregistration(target)) : [];
  }

  /** @internal */
  get token(): string | undefined {
    return this.#exchange.token;
  }

  async #run(): Promise<void> {
    // Whoever made it may say more in the same breath.
    await undefined;
    while (!this.#stopping) {
      this.#wake = new AbortController();
      const isReplaced = this.#beat.state === "replaced";
      const next = await (isReplaced ? this.#look(this.#wanted) : this.#once(this.#wanted));
      await pause(next, { ref: false, signal: this.#wake.signal });
    }
    if (this.#held) {
      // Under its lease: whoever has registered the id since keeps it.
      await deregister(this.#exchange, this.#held.registered, {
        limit: FAREWELL / 2,
        signal: AbortSignal.timeout(FAREWELL / 2),
      }).catch(() => undefined);
      this.#held = undefined;
    }
    this.#tell({ state: "stopped" });
  }

  /** Renews the lease, or registers what is not registered yet. Says how long to wait for the next time. */
  async #once(wanted: Known): Promise<number> {
    const ttl = milliseconds(wanted);
    if (!(await this.#isAlive())) {
      this.#tell({ state: "lapsing" });
      return shortened(ttl / 4, 10);
    }
    const patience = this.#patience(ttl);
    const current = this.#held?.sent === wanted ? this.#held.registered : undefined;
    try {
      const registered = current ?? (await this.#register(wanted, patience));
      const refreshed = current && (await this.#refresh(current.lease, patience));
      // Whatever a registry says, its lease is neither forgotten nor refreshed without a pause.
      const next = refreshed ? Math.min(Math.max(refreshed.refresh_after_ms, ttl / 4), ttl) : ttl / 2;
      return this.#alive(registered, next);
    } catch (error) {
      if (error instanceof NotRegistered && current) {
        this.#forget();
        return 0;
      }
      if (error instanceof LeaseReplaced) return this.#contested(ttl, patience);
      if (!(error instanceof PaulinaError)) {
        this.#tell({ state: "failing", error: new PaulinaError(String(error), { cause: error }) });
        return shortened(ttl / 2, 10);
      }
      this.#tell({ state: "failing", error });
      if (!error.temporary) return shortened(ttl / 2, 10);
      const longest = Math.min(FIRST_PAUSE * 2 ** this.#failures, ttl / 4);
      this.#failures += 1;
      return shortened(longest, 50);
    }
  }

  /** Looks whether the id is free by now, and registers only then. Whatever else comes of it, it stays replaced. */
  async #look(wanted: Known): Promise<number> {
    const ttl = milliseconds(wanted);
    const patience = this.#patience(ttl);
    try {
      const holder = await health(this.#exchange, this.id, patience);
      if (!holder && (await this.#isAlive()) && !this.#stopping) {
        const registered = await register(this.#exchange, wanted, true, patience);
        this.#held = { sent: wanted, registered };
        return this.#alive(registered, ttl / 2);
      }
    } catch {
      // Somebody was quicker, or nobody answers.
    }
    return shortened(ttl, 10);
  }

  #alive(registered: Registered, next: number): number {
    this.#failures = 0;
    this.#tell({ state: "alive", registered });
    return shortened(next, 10);
  }

  async #isAlive(): Promise<boolean> {
    const { isAlive } = this.#options;
    if (!isAlive) return true;
    const asked = Promise.resolve().then(isAlive);
    return Promise.race([this.#givenUp, asked]).catch(() => false);
  }

  /** Registers. What was registered before is kept alive until that is done. */
  async #register(wanted: Known, patience: Patience): Promise<Registered> {
    try {
      return await this.#sendRegistration(wanted, patience);
    } catch (error) {
      const before = this.#held?.registered;
      if (before) {
        // It may have been done, and only its answer was lost: then the new lease is this server's own.
        const perhapsDone = error instanceof PaulinaError && error.temporary;
        await this.#refresh(before.lease, patience).catch((reason: unknown) => {
          if (reason instanceof NotRegistered) this.#forget();
          if (reason instanceof LeaseReplaced && !perhapsDone) throw reason;
        });
      }
      throw error;
    }
  }

  async #sendRegistration(wanted: Known, patience: Patience): Promise<Registered> {
    this.#registering = true;
    try {
      const registered = await register(this.#exchange, wanted, false, patience);
      this.#forget();
      this.#held = { sent: wanted, registered };
      return registered;
    } finally {
      this.#registering = false;
    }
  }

  #refresh(lease: string, patience: Patience): Promise<Refreshed> {
    return refresh(this.#exchange, { id: this.id, lease }, patience);
  }

  #patience(ttl: number): Patience {
    return { limit: Math.min(Math.max(ttl / 4, 1_000), this.#timeout), signal: this.#given.signal };
  }

  #forget(): void {
    if (!this.#held) return;
    this.#earlier.push(this.#held.registered.lease);
    this.#earlier.splice(0, this.#earlier.length - REMEMBERED);
    this.#held = undefined;
  }

  /**
   * Another lease holds the id. Is it an earlier one of this server, the registry has gone back in time, as after a restore
   * from a backup: then it is registered again.
   */
  async #contested(ttl: number, patience: Patience): Promise<number> {
    for (const lease of [...this.#earlier].reverse()) {
      try {
        await this.#refresh(lease, patience);
      } catch (error) {
        if (error instanceof LeaseReplaced) continue;
        if (!(error instanceof NotRegistered)) return shortened(ttl / 4, 50);
      }
      this.#forget();
      return 0;
    }
    this.#forget();
    this.#tell({ state: "replaced" });
    return shortened(ttl, 10);
  }

  #tell(beat: Beat): void {
    this.#beat = beat;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    const { onBeat } = this.#options;
    // An error in there is its program's, and stops no heartbeat.
    if (onBeat) queueMicrotask(() => onBeat(beat));
  }
}

/** How long its lease runs. What the registry would refuse is no reason to ask without a pause. */
function milliseconds({ ttl }: Registration): number {
  return Math.min(Math.max(Number(ttl) || TTL, 1), LONGEST) * 1_000;
}
