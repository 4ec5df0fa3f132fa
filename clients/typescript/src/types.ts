/** What the registry takes and gives, by the names of its HTTP API. */

export type Health = "healthy" | "unhealthy";

/** A tool as MCP defines it; whatever else is in it comes back as it was sent. */
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

/** A flag of a capability, or its options. */
export type Flag = boolean | object;

/** What a server can do, to be registered: bare names, or the objects that MCP defines. */
export interface Capabilities {
  tools?: readonly (string | Tool)[] | undefined;
  resources?: readonly (string | Resource | { uriTemplate: string; [member: string]: unknown })[] | undefined;
  prompts?: readonly (string | Prompt)[] | undefined;
  [flag: string]: Flag | readonly unknown[] | undefined;
}

/** What a client has to provide, by name: an environment variable or a header. Values don't belong in a registry. */
export interface Input {
  name: string;
  description?: string | null | undefined;
  required?: boolean | undefined;
  secret?: boolean | undefined;
}

interface Said {
  /** Stable; absent, one is made. */
  id?: string | undefined;
  name: string;
  title?: string | undefined;
  version?: string | undefined;
  description?: string | undefined;
  capabilities?: Capabilities | undefined;
  tags?: readonly string[] | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  /** How long the lease runs without a refresh, in seconds: 1–86,400, 30 if not set. */
  ttl?: number | undefined;
}

/** A server that its client starts. */
export interface StdioRegistration extends Said {
  transport: "stdio";
  /** The program and its arguments. */
  command: readonly string[];
  environment?: readonly Input[] | undefined;
}

/** A server that runs by itself. */
export interface HttpRegistration extends Said {
  transport: "streamable-http" | "http" | "sse";
  url: string;
  headers?: readonly Input[] | undefined;
}

/** What a server says of itself. */
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
  /** What the wall clock will show when the lease runs out, if nothing holds it up. */
  expires_at: string;
  /** With `q`, how well it matches; to be compared within one answer alone. */
  score?: number;
}

/** A registered server. */
export type Server =
  | (ServerRecord & { transport: "stdio"; command: string[]; url: null })
  | (ServerRecord & { transport: "streamable-http" | "sse"; command: null; url: string });

/** What names a registration: refreshed or deregistered with `lease`, it is left alone if another process has it now. */
export interface Lease {
  id: string;
  lease?: string | undefined;
}

/** What registering gave. */
export type Registered = Server & {
  /** New with every registering. */
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
  /** Register these again. */
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
  /** Where the next page begins; null on the last one. */
  next_cursor: string | null;
  revision: string;
}

/** A tool, once, with the servers that offer it. */
export interface ToolEntry {
  name: string;
  title: string | null;
  description: string | null;
  /** How many different definitions there are under this name. */
  definitions: number;
  /** With `q`, how well it matches; to be compared within one answer alone. */
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

/** All that matches: it replaces all that was known. */
export interface Snapshot {
  kind: "snapshot";
  revision: string;
  servers: Server[];
}

export interface Change {
  /** `registered` also when a late refresh revives a server, or when it begins to match. */
  kind: "registered" | "updated" | "deregistered" | "expired";
  revision: string;
  at: string;
  server: Server;
}

/** What a watcher is told. */
export type WatchEvent = Snapshot | Change;
