/** Waits and deadlines. */

/** Resolves after this time, or when the signal is aborted. Without `ref`, it does not keep the process alive. */
export function sleep(ms: number, { ref, signal }: { ref: boolean; signal?: AbortSignal | undefined }): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (!ref) timer.unref();
    signal?.addEventListener("abort", done, { once: true });
    return undefined;
  });
}

/** Shortens a wait at random, so that many clients do not send their requests at the same time. */
export function shortened(ms: number, percent: number): number {
  return ms * (1 - (Math.random() * percent) / 100);
}

/** Aborts its signal when the time is over, or when the outer signal is aborted. */
export class Deadline {
  /** Why it was aborted, if it was. */
  reason: string | undefined;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, outer?: AbortSignal) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#onOuterAbort, { once: true });
    if (outer?.aborted) this.#onOuterAbort();
    this.restart(ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  restart(ms: number): void {
    clearTimeout(this.#timer);
    // The request keeps the process alive, where it should; the timer does not have to.
    this.#timer = setTimeout(() => this.#abort(`no data within ${ms} ms`), ms).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onOuterAbort);
  }

  readonly #onOuterAbort = () => this.#abort("the request was canceled");

  #abort(reason: string): void {
    this.reason ??= reason;
    this.#controller.abort();
  }
}
