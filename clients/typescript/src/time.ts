/** Waiting. */

/** Resolves after this time, or when the signal is aborted. Without `ref`, it does not keep the process alive. */
export function pause(ms: number, { ref, signal }: { ref: boolean; signal?: AbortSignal | undefined }): Promise<void> {
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

/** A little less than this, by chance, so that many do not come at once. */
export function shortened(ms: number, percent: number): number {
  return ms * (1 - (Math.random() * percent) / 100);
}

/** Aborts what takes longer than it may, or what its caller gives up. */
export class Deadline {
  /** Why it was aborted, if it was. */
  reason: string | undefined;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, outer?: AbortSignal) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#giveUp, { once: true });
    if (outer?.aborted) this.#giveUp();
    this.restart(ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  restart(ms: number): void {
    clearTimeout(this.#timer);
    // What is waited for keeps the process alive, as far as it should.
    this.#timer = setTimeout(() => this.#abort(`nothing came within ${ms} ms`), ms).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#giveUp);
  }

  readonly #giveUp = () => this.#abort("it was given up");

  #abort(reason: string): void {
    this.reason ??= reason;
    this.#controller.abort();
  }
}
