/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A registration that is kept alive.
 *
 * `decide`, `failedReplacement`, `wait` and `requestTimeout` contain the rules; tests/vectors/heartbeat.json tests that the
 * Rust, Python and TypeScript clients agree.
 */

import { type RequestOptions, deregister, deregistration, health, newId, refresh, register } from "./requests.js";
import { LeaseReplaced, NotRegistered, PaulinaError } from "./errors.js";
import type { Failover } from "./failover.js";
import { shortened, sleep } from "./time.js";
import type { Refreshed, Registered, Registration } from "./types.js";
import type { RequestTarget } from "./transport.js";

/** The status of a heartbeat. */
export type HeartbeatStatus =
  /** There is no response yet. */
  | { state: "starting" }
  /** The server is registered, and the last refresh succeeded. */
  | { state: "alive"; registered: Registered }
  /** The last attempt failed. The heartbeat retries. */
  | { state: "failing"; error: PaulinaError }
  /** `isAlive` returned false: the lease expires unless it returns true again. */
  | { state: "lapsing" }
  /**
   * Another process has registered the id. The heartbeat does not refresh it any more, and registers again when that process
   * no longer holds the id.
   */
  | { state: "replaced" }
  | { state: "stopped" };

export interface HeartbeatOptions {
  /** Called before each refresh. If it returns false or throws, the lease is not refreshed. */
  isAlive?: (() => boolean | Promise<boolean>) | undefined;
  /** Called with the status after each attempt. */
  onStatus?: ((status: HeartbeatStatus) => void) | undefined;
}

/**
 * A request of a heartbeat. `check_previous_lease` refreshes an earlier lease of this server to find out whether the registry
 * was restored from a backup; `check_holder` asks whether the id is registered; `reclaim` registers the id unless it is taken.
 */
export type Step = "refresh" | "register" | "check_previous_lease" | "check_holder" | "reclaim";

/** What the response to a request means to a heartbeat. */
export type Outcome = "ok" | "not_registered" | "lease_replaced" | "temporary_error" | "permanent_error";

/**
 * What follows. `stand_back`: another process holds the id, check once per ttl whether it still does; `check_again`: whose the
 * lease is could not be found out yet; `wait_for_fix`: the request cannot succeed unless something is fixed; `let_lapse`: the
 * server itself does not respond.
 */
export type Action =
  | "stay_registered"
  | "register_again"
  | "check_previous_leases"
  | "check_again"
  | "stand_back"
  | "try_reclaim"
  | "back_off"
  | "wait_for_fix"
  | "let_lapse";

const DEFAULT_TTL = 30;
const TTL_LIMIT = 86_400;
/** The wait after the first failure, in milliseconds; it doubles with each further failure. */
const INITIAL_BACKOFF = 250;
const MAX_DOUBLINGS = 16;
/** How long stopping takes at most, in milliseconds: half of it for a request in flight, half for the deregistration. */
const SHUTDOWN_TIMEOUT = 2_000;
/** How many earlier leases are remembered. */
const PREVIOUS_LEASE_LIMIT = 32;

/** What the error of a request means to a heartbeat; undefined if the request succeeded. */
export function outcomeOf(error: PaulinaError | undefined): Outcome {
  if (!error) return "ok";
  if (error instanceof NotRegistered) return "not_registered";
  if (error instanceof LeaseReplaced) return "lease_replaced";
  return error.temporary ? "temporary_error" : "permanent_error";
}

/** Decides what follows the outcome of a step. */
export function decide(step: Step, outcome: Outcome): Action {
  switch (step) {
    case "refresh":
    case "register":
      if (outcome === "ok") return "stay_registered";
      if (outcome === "not_registered" && step === "refresh") return "register_again";
      if (outcome === "lease_replaced") return "check_previous_leases";
      return outcome === "temporary_error" ? "back_off" : "wait_for_fix";
    case "check_previous_lease":
      if (outcome === "lease_replaced") return "stand_back";
      // An earlier lease of this server is current, or none is: the registry was restored from a backup.
      return outcome === "ok" || outcome === "not_registered" ? "register_again" : "check_again";
    case "check_holder":
      return outcome === "not_registered" ? "try_reclaim" : "stand_back";
    case "reclaim":
      return outcome === "ok" ? "stay_registered" : "stand_back";
  }
}

/**
 * The outcome of a registration that failed, when refreshing the one that it was to replace had another.
 *
 * After a temporary error the registration may have been carried out with only its response lost: then the other lease is this
 * server's own.
 */
export function failedReplacement(registration: Outcome, current: Outcome): Outcome {
  return current === "lease_replaced" && registration !== "temporary_error" ? current : registration;
}

/** The milliseconds until the next step, and by how many percent at most they are shortened. */
export function wait(
  action: Action,
  ttl: number,
  refreshAfter: number | undefined,
  failures: number,
): [ms: number, percent: number] {
  switch (action) {
    case "stay_registered":
      // Whatever the registry requests, the lease is refreshed in time and not without a pause.
      return [refreshAfter === undefined ? ttl / 2 : Math.min(Math.max(refreshAfter, ttl / 4), ttl), 10];
    case "register_again":
    case "check_previous_leases":
    case "try_reclaim":
      return [0, 0];
    case "check_again":
      return [ttl / 4, 50];
    case "stand_back":
      return [ttl, 10];
    case "back_off":
      return [Math.min(INITIAL_BACKOFF * 2 ** Math.min(failures, MAX_DOUBLINGS), ttl / 4), 50];
    case "wait_for_fix":
      return [ttl / 2, 10];
    case "let_lapse":
      return [ttl / 4, 10];
  }
}

/** How long a heartbeat waits for one response, in milliseconds. */
export function requestTimeout(ttl: number): number {
  return Math.max(ttl / 4, 1_000);
}

/** How long a lease lasts, in milliseconds. The registry rejects an invalid `ttl`; the waits need a valid one. */
export function ttlOf({ ttl }: { ttl?: unknown }): number {
  const seconds = typeof ttl === "number" && ttl >= 1 ? ttl : DEFAULT_TTL;
  return Math.min(seconds, TTL_LIMIT) * 1_000;
}

type RegistrationWithId = Registration & { id: string };

/** The registration that the registry is believed to hold, and what was sent for it. */
interface Current {
  sent: RegistrationWithId;
  registered: Registered;
}

/** Returned by {@link Client.keepAlive}. */
export class Heartbeat {
  /** The id of the registration. */
  readonly id: string;
  readonly #failover: Failover;
  readonly #timeout: number;
  readonly #options: HeartbeatOptions;
  readonly #running: Promise<void>;
  /** Aborted to cancel a request in flight. */
  readonly #cancellation = new AbortController();
  readonly #canceled: Promise<false>;
  readonly #waiting = new Set<() => void>();
  #wanted: RegistrationWithId;
  #current: Current | undefined;
  #registering = false;
  /** Earlier leases of this server. */
  readonly #previousLeases: string[] = [];
  #status: HeartbeatStatus = { state: "starting" };
  #failures = 0;
  #stopping = false;
  #wake = new AbortController();

  /** @internal */
  constructor(failover: Failover, registration: Registration, timeout: number, options: HeartbeatOptions) {
    this.id = registration.id ?? newId(registration.name);
    this.#failover = failover;
    this.#timeout = timeout;
    this.#options = options;
    this.#wanted = { ...registration, id: this.id };
    this.#canceled = new Promise((resolve) =>
      this.#cancellation.signal.addEventListener("abort", () => resolve(false)),
    );
    this.#running = this.#run();
  }

  /** The current status. */
  get status(): HeartbeatStatus {
    return this.#status;
  }

  /** Waits until the server is registered; throws an error that waiting does not fix. */
  async registered(): Promise<Registered> {
    // Keeps the process alive: a caller waits.
    const keepAlive = setInterval(() => undefined, 60_000);
    try {
      for (;;) {
        const status = this.#status;
        if (status.state === "alive") return status.registered;
        if (status.state === "failing" && !status.error.temporary) throw status.error;
        if (status.state === "replaced") throw new LeaseReplaced(this.id);
        if (status.state === "stopped") throw new NotRegistered(this.id);
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    } finally {
      clearInterval(keepAlive);
    }
  }

  /** Replaces the registration under the same id, for example when the tools of the server have changed. */
  replace(registration: Registration): void {
    this.#wanted = { ...registration, id: this.id };
    this.#wake.abort();
  }

  /** Deregisters the server; if the registry does not answer within two seconds, the lease expires. */
  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.#wake.abort();
      // A registration may be in flight: its response contains the lease to deregister.
      const timer = setTimeout(() => this.#cancellation.abort(), SHUTDOWN_TIMEOUT / 2);
      void this.#running.finally(() => clearTimeout(timer));
    }
    await this.#running;
  }

  /** `await using heartbeat = client.keepAlive(…)` stops it at the end of its scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * @internal Where to send a deregistration if the process ends now; empty if nothing is registered. The registry may have
   * carried out a registration whose response, which contains the lease, is still in flight: then there is no lease.
   */
  shutdownRequests(): RequestTarget[] {
    const target = this.#registering ? { id: this.id } : this.#current?.registered;
    return target ? this.#failover.targets(deregistration(target)) : [];
  }

  /** @internal */
  get token(): string | undefined {
    return this.#failover.token;
  }

  async #run(): Promise<void> {
    // The caller may call `replace` synchronously.
    await undefined;
    while (!this.#stopping) {
      this.#wake = new AbortController();
      const ms = await this.#beat(this.#wanted);
      await sleep(ms, { ref: false, signal: this.#wake.signal });
    }
    if (this.#current) {
      // With its lease, so that a registration of another process stays.
      await deregister(this.#failover, this.#current.registered, {
        timeout: SHUTDOWN_TIMEOUT / 2,
        signal: AbortSignal.timeout(SHUTDOWN_TIMEOUT / 2),
      }).catch(() => undefined);
      this.#current = undefined;
    }
    this.#setStatus({ state: "stopped" });
  }

  /** Refreshes the lease, or registers; returns the milliseconds until the next time. */
  async #beat(wanted: RegistrationWithId): Promise<number> {
    const ttl = ttlOf(wanted);
    const isReplaced = this.#status.state === "replaced";
    if (!(await this.#isAlive())) {
      if (!isReplaced) this.#setStatus({ state: "lapsing" });
      return this.#nextWait("let_lapse", ttl);
    }
    const timeout = Math.min(requestTimeout(ttl), this.#timeout);
    const options = { timeout, signal: this.#cancellation.signal };
    return isReplaced ? this.#tryReclaim(wanted, ttl, options) : this.#renew(wanted, ttl, options);
  }

  async #renew(wanted: RegistrationWithId, ttl: number, options: RequestOptions): Promise<number> {
    const current = this.#current?.sent === wanted ? this.#current.registered : undefined;
    let refreshAfter: number | undefined;
    let error: PaulinaError | undefined;
    try {
      if (current) refreshAfter = (await this.#refresh(current.lease, options)).refresh_after_ms;
      else await this.#register(wanted, options);
    } catch (caught) {
      error = caught instanceof PaulinaError ? caught : new PaulinaError(String(caught), { cause: caught });
    }
    const action = decide(current ? "refresh" : "register", outcomeOf(error));
    if (action === "check_previous_leases") return this.#onLeaseReplaced(ttl, options);
    if (action === "register_again") this.#dropCurrent();
    else if (error) this.#setStatus({ state: "failing", error });
    else if (this.#current) this.#setStatus({ state: "alive", registered: this.#current.registered });
    return this.#nextWait(action, ttl, refreshAfter);
  }

  #nextWait(action: Action, ttl: number, refreshAfter?: number): number {
    const [ms, percent] = wait(action, ttl, refreshAfter, this.#failures);
    if (action === "stay_registered") this.#failures = 0;
    else if (action === "back_off") this.#failures += 1;
    return shortened(ms, percent);
  }

  /**
   * Registers the id again once its lease has expired. The holder may have been an earlier process of this server: after a
   * restore from a backup, no process refreshes its lease.
   */
  async #tryReclaim(wanted: RegistrationWithId, ttl: number, options: RequestOptions): Promise<number> {
    let action: Action = "stand_back";
    try {
      const holder = await health(this.#failover, this.id, options);
      action = decide("check_holder", holder ? "ok" : "not_registered");
      if (action === "try_reclaim" && !this.#stopping) {
        const registered = await register(this.#failover, wanted, true, options);
        this.#current = { sent: wanted, registered };
        action = decide("reclaim", "ok");
        this.#setStatus({ state: "alive", registered });
      }
    } catch (error) {
      action = decide("reclaim", error instanceof PaulinaError ? outcomeOf(error) : "permanent_error");
    }
    return this.#nextWait(action, ttl);
  }

  async #isAlive(): Promise<boolean> {
    const { isAlive } = this.#options;
    if (!isAlive) return true;
    const result = Promise.resolve().then(isAlive);
    return Promise.race([this.#canceled, result]).catch(() => false);
  }

  /** Registers. If that fails, the current registration is refreshed instead, so that it does not expire. */
  async #register(wanted: RegistrationWithId, options: RequestOptions): Promise<void> {
    try {
      await this.#sendRegistration(wanted, options);
    } catch (failed) {
      const current = this.#current?.registered;
      const outcome = failed instanceof PaulinaError ? outcomeOf(failed) : "permanent_error";
      if (current) await this.#keepCurrent(current, outcome, options);
      throw failed;
    }
  }

  async #sendRegistration(wanted: RegistrationWithId, options: RequestOptions): Promise<void> {
    this.#registering = true;
    try {
      const registered = await register(this.#failover, wanted, false, options);
      this.#dropCurrent();
      this.#current = { sent: wanted, registered };
    } finally {
      this.#registering = false;
    }
  }

  async #keepCurrent(current: Registered, registration: Outcome, options: RequestOptions): Promise<void> {
    try {
      await this.#refresh(current.lease, options);
    } catch (error) {
      if (!(error instanceof PaulinaError)) return;
      if (error instanceof NotRegistered) this.#dropCurrent();
      if (failedReplacement(registration, outcomeOf(error)) !== registration) throw error;
    }
  }

  #refresh(lease: string, options: RequestOptions): Promise<Refreshed> {
    return refresh(this.#failover, { id: this.id, lease }, options);
  }

  #dropCurrent(): void {
    if (!this.#current) return;
    this.#previousLeases.push(this.#current.registered.lease);
    this.#previousLeases.splice(0, this.#previousLeases.length - PREVIOUS_LEASE_LIMIT);
    this.#current = undefined;
  }

  /**
   * Finds out whose the lease is that holds the id. If it is one of this server's own earlier leases, the registry was restored
   * from a backup: then the server is registered again.
   */
  async #onLeaseReplaced(ttl: number, options: RequestOptions): Promise<number> {
    let action: Action = "stand_back";
    for (const lease of [...this.#previousLeases].reverse()) {
      let outcome: Outcome = "ok";
      try {
        await this.#refresh(lease, options);
      } catch (error) {
        outcome = error instanceof PaulinaError ? outcomeOf(error) : "permanent_error";
      }
      action = decide("check_previous_lease", outcome);
      if (action !== "stand_back") break;
    }
    if (action !== "check_again") this.#dropCurrent();
    if (action === "stand_back") this.#setStatus({ state: "replaced" });
    return this.#nextWait(action, ttl);
  }

  #setStatus(status: HeartbeatStatus): void {
    this.#status = status;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    const { onStatus } = this.#options;
    // An error of the callback must not stop the heartbeat.
    if (onStatus) queueMicrotask(() => onStatus(status));
  }
}
