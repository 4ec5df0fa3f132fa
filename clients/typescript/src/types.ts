/** The records of the registry, with the names of its HTTP API. */

export type Health = "healthy" | "unhealthy";

/** A tool as MCP defines it; the registry keeps additional members. */
export interface Tool {
  name: string;
  title?: string | undefined;
  description?: string | undefined;
  inputSchema?: object | undefined;
  outputSchema?: object | undefined;
  annotations?: object | undefined;
  [member: string]: unknown;
}

/** A resource has a `uri`, a resource template a `uri_template`. */
export interface Resource {
  uri?: string | undefined;
  uri_template?: string | undefined;
  name?: string | undefined;
  title?: string | undefined;
  description?: string | undefined;
  mimeType?: string | undefined;
  [member: string]: unknown;
}

export interface Prompt {
  name: string;
  title?: string | undefined;
  description?: string | undefined;
  arguments?: readonly object[] | undefined;
  [member: string]: unknown;
}

/** A capability: whether the server has it, or its options. */
export type Flag = boolean | object;

/** The capabilities to register: names, or the objects that MCP defines. */
export interface Capabilities {
  tools?: readonly (string | Tool)[] | undefined;
  resources?: readonly (string | Resource | { uriTemplate: string; [member: string]: unknown })[] | undefined;
  prompts?: readonly (string | Prompt)[] | undefined;
  [flag: string]: Flag | readonly unknown[] | undefined;
}

/** The name of an environment variable or a header that a client has to provide. A registry contains no values. */
export interface Input {
  name: string;
  description?: string | null | undefined;
  required?: boolean | undefined;
  secret?: boolean | undefined;
}

interface RegistrationFields {
  /** A stable id; by default one is generated. */
  id?: string | undefined;
  name: string;
  title?: string | undefined;
  version?: string | undefined;
  description?: string | undefined;
  capabilities?: Capabilities | undefined;
  tags?: readonly string[] | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  /** How long the lease lasts without a refresh, in seconds: 1–86,400, by default 30. */
  ttl?: number | undefined;
}

/** A server that its clients start. */
export interface StdioRegistration extends RegistrationFields {
  transport: "stdio";
  /** The program and its arguments. */
  command: readonly string[];
  environment?: readonly Input[] | undefined;
}

/** A server that is already running. */
export interface HttpRegistration extends RegistrationFields {
  transport: "streamable-http" | "http" | "sse";
  url: string;
  headers?: readonly Input[] | undefined;
}

/** A registration of a server. */
export type Registration = StdioRegistration | HttpRegistration;

interface ServerRecord {
  id: string;
  name: string;
  title: string | null;
  version: string | null;
  description: string | null;
  environment: Input[];
  headers: Input[];
  capabilities: { tools: Tool[]; resources: Resource[]; prompts: Prompt[]; [flag: string]: unknown };
  tags: string[];
  metadata: Record<string, string>;
  /** The name of the token that registered it. */
  owner: string | null;
  ttl: number;
  health: Health;
  registered_at: string;
  updated_at: string;
  refreshed_at: string;
  /** When the lease will expire, by the wall clock, unless expiry is suspended. */
  expires_at: string;
  /** With `q`, how well it matches; comparable only within one response. */
  score?: number;
}

/** A registered server. */
export type Server =
  | (ServerRecord & { transport: "stdio"; command: string[]; url: null })
  | (ServerRecord & { transport: "streamable-http" | "sse"; command: null; url: string });

/** Identifies a registration. With `lease`, a request never affects a registration of another process. */
export interface Lease {
  id: string;
  lease?: string | undefined;
}

/** The result of a registration. */
export type Registered = Server & {
  /** A new one for every registration. */
  lease: string;
  /** Whether the id was new; if not, the registration under it was replaced. */
  created: boolean;
};

export interface Refreshed {
  id: string;
  health: Health;
  ttl: number;
  expires_at: string;
  refresh_after_ms: number;
}

export interface RefreshedMany {
  refreshed: Refreshed[];
  /** The ids to register again. */
  not_registered: string[];
}

export interface LeaseState {
  id: string;
  name: string;
  health: Health;
  ttl: number;
  expires_at: string;
  expires_in_ms: number;
}

export interface ServerPage {
  servers: Server[];
  /** The position of the next page; null on the last one. */
  next_cursor: string | null;
  revision: string;
}

/** A tool, by name, with the servers that offer it. */
export interface ToolEntry {
  name: string;
  title: string | null;
  description: string | null;
  /** How many different definitions have this name. */
  definitions: number;
  /** With `q`, how well it matches; comparable only within one response. */
  score?: number;
  servers: { id: string; name: string; transport: Server["transport"]; health: Health }[];
}

export interface ToolPage {
  tools: ToolEntry[];
  next_cursor: string | null;
}

export interface Stats {
  servers: {
    total: number;
    by_health: Record<string, number>;
    by_transport: Record<string, number>;
    by_name: Record<string, number>;
    by_tag: Record<string, number>;
    by_capability: Record<string, number>;
  };
  tools: number;
  resources: number;
  prompts: number;
  revision: string;
}

/** All servers that match. A snapshot replaces everything received before. */
export interface Snapshot {
  kind: "snapshot";
  revision: string;
  servers: Server[];
}

export interface Change {
  /** `registered` also if a late refresh revives a server, or if a server starts to match. */
  kind: "registered" | "updated" | "deregistered" | "expired";
  revision: string;
  at: string;
  server: Server;
}

/** An event of a watch. */
export type WatchEvent = Snapshot | Change;
