/** The errors of this package, by what the caller can do about them. */

/** One error in a registration, with a JSON pointer to it (RFC 6901). */
export interface Violation {
  pointer: string;
  detail: string;
}

/** The base of all errors of this package. */
export class PaulinaError extends Error {
  static {
    this.prototype.name = "PaulinaError";
  }

  /** Whether the same request may succeed later without any fix. */
  get temporary(): boolean {
    return false;
  }
}

/** No registry answers, or not in time. The request may have been processed. */
export class Unreachable extends PaulinaError {
  static {
    this.prototype.name = "Unreachable";
  }

  constructor(
    readonly addresses: readonly string[],
    /** Why the last of the addresses did not answer. */
    readonly reason: string,
  ) {
    const where = addresses.join(", ");
    super(
      `no registry answers at ${where}: ${reason}. Start one with "paulina serve", or set PAULINA_URL to the address of another`,
    );
  }

  override get temporary(): boolean {
    return true;
  }
}

/** The server at the address is not a Paulina registry. */
export class NotARegistry extends PaulinaError {
  static {
    this.prototype.name = "NotARegistry";
  }

  constructor(
    readonly address: string,
    readonly detail: string,
  ) {
    super(`the server at ${address} is not a Paulina registry: ${detail}. Fix the address`);
  }

  /** True: it may be a proxy in front of a registry that is down. */
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
    super(`${id} is not registered: register it again`);
  }
}

/** Another process has registered the id. */
export class LeaseReplaced extends PaulinaError {
  static {
    this.prototype.name = "LeaseReplaced";
  }

  constructor(readonly id: string) {
    super(`another process has registered ${id}: leave it to that process, or register under another id`);
  }
}

/** No server of this name is healthy. */
export class NoHealthyServers extends PaulinaError {
  static {
    this.prototype.name = "NoHealthyServers";
  }

  /** The name of the server; `name` is the name of the error. */
  constructor(readonly server: string) {
    super(`no server named "${server}" is healthy: start one, or wait for one with watch`);
  }

  override get temporary(): boolean {
    return true;
  }
}

/** The problem details in an error response (RFC 9457). */
export interface Problem {
  status: number;
  /** Identifies the problem; stable, and listed in the OpenAPI document. */
  code: string;
  /** What is wrong, and what to do. */
  detail: string;
  /** All errors in a registration. */
  errors?: Violation[];
  /** The address of the primary, if a standby knows it. */
  primary?: string | null;
}

/** The registry rejected the request; `detail` says what to do. */
export class ApiError extends PaulinaError {
  static {
    this.prototype.name = "ApiError";
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
