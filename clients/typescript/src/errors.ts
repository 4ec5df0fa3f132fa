/** What can go wrong when a registry is asked, sorted by what the caller does about it. */

/** One thing wrong with a registration, with an RFC 6901 pointer to it. */
export interface Violation {
  pointer: string;
  detail: string;
}

/** Whatever this package throws. */
export class PaulinaError extends Error {
  static {
    this.prototype.name = "PaulinaError";
  }

  /** Whether the same may succeed later without anything being mended. */
  get temporary(): boolean {
    return false;
  }
}

/** No registry answers, or not in time. What was asked may have been done all the same. */
export class Unreachable extends PaulinaError {
  static {
    this.prototype.name = "Unreachable";
  }

  constructor(
    /** Where it was asked. */
    readonly addresses: readonly string[],
    /** What the last one of them gave. */
    readonly reason: string,
  ) {
    const where = addresses.join(", ");
    super(
      `no registry answers at ${where}: ${reason}. Start one with "paulina serve", or say in PAULINA_URL where it is`,
    );
  }

  override get temporary(): boolean {
    return true;
  }
}

/** Something answers at the address, and is no registry. */
export class NotARegistry extends PaulinaError {
  static {
    this.prototype.name = "NotARegistry";
  }

  constructor(
    readonly address: string,
    readonly detail: string,
  ) {
    super(`what answers at ${address} is no registry of Paulina's: ${detail}. Mend the address`);
  }

  /** A proxy in front of a registry that is down answers for itself. */
  override get temporary(): boolean {
    return true;
  }
}

/** The id is not registered, or not any more. */
export class NotRegistered extends PaulinaError {
  static {
    this.prototype.name = "NotRegistered";
  }

  constructor(readonly id: string) {
    super(`${id} is not registered, or not any more: register it again`);
  }
}

/** Another process has registered the id since. */
export class LeaseReplaced extends PaulinaError {
  static {
    this.prototype.name = "LeaseReplaced";
  }

  constructor(readonly id: string) {
    super(`another process has registered ${id} since: leave it alone, or register under another id`);
  }
}

/** No server of this name is healthy. */
export class NoHealthyServers extends PaulinaError {
  static {
    this.prototype.name = "NoHealthyServers";
  }

  /** Called `server` because `name` is the error's own. */
  constructor(readonly server: string) {
    super(`no server named "${server}" is healthy: start one, or wait for one with watch`);
  }

  override get temporary(): boolean {
    return true;
  }
}

/** What a registry says when it refuses: RFC 9457 problem details. */
export interface Problem {
  status: number;
  /** Which problem it is; stable, and listed in the API's document. */
  code: string;
  /** What happened, and the way out. */
  detail: string;
  /** All that is wrong with a registration. */
  errors?: Violation[];
  /** Where the primary is, as far as a standby was told. */
  primary?: string | null;
}

/** The registry refuses, and its detail says what to do. */
export class Refused extends PaulinaError {
  static {
    this.prototype.name = "Refused";
  }
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly errors: readonly Violation[];
  readonly primary: string | undefined;

  constructor({ code, status, detail, errors = [], primary }: Problem) {
    const all = errors.map((violation) => `\n  ${violation.pointer || "/"} ${violation.detail}`).join("");
    super(`${detail} (${code})${all}`);
    this.code = code;
    this.status = status;
    this.detail = detail;
    this.errors = errors;
    this.primary = primary ?? undefined;
  }

  override get temporary(): boolean {
    return this.status === 408 || this.status === 429 || this.status >= 500;
  }
}
