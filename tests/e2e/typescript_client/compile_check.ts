// A program that uses the whole API. The test is that it compiles.

import {
  ApiError,
  type Change,
  Client,
  type ClientOptions,
  type Heartbeat,
  type HeartbeatStatus,
  type Lease,
  NoHealthyServers,
  NotRegistered,
  PaulinaError,
  type Registration,
  type Server,
  type ServerFilters,
  Unreachable,
  announce,
} from "paulina-client";

const options: ClientOptions = { addresses: ["http://127.0.0.1:7285"], token: undefined };
export const client = new Client(options);

export const registration: Registration = {
  name: "files",
  transport: "stdio",
  command: ["mcp-files"],
  capabilities: {
    tools: ["read", { name: "write", inputSchema: {}, more: 1 }],
    resources: [{ uri_template: "file:///{path}" }],
    prompts: [],
    sampling: true,
  },
  environment: [{ name: "KEY", secret: true }],
};
export const remote: Registration = {
  name: "files",
  transport: "streamable-http",
  url: "http://127.0.0.1/mcp",
  headers: [{ name: "Authorization" }],
};
// @ts-expect-error: a server over HTTP has no command.
export const wrong: Registration = { name: "files", transport: "sse", url: "http://127.0.0.1/mcp", command: ["files"] };

export async function everything(signal: AbortSignal): Promise<string[]> {
  const registered = await client.register(registration, { newOnly: true });
  const lease: Lease = registered;
  const { expires_at } = await client.refresh(lease);
  await client.refresh(registered.id);
  const { not_registered } = await client.refreshMany([registered.id]);
  const health = await client.health(registered.id);
  const filters: ServerFilters = {
    tool: ["read", "write"],
    metadata: { team: "search" },
    healthy: "any",
    view: "full",
    limit: 10,
  };
  for await (const server of client.find(filters)) started(server);
  for await (const { name, servers } of client.tools({ q: "read" }))
    not_registered.push(name, ...servers.map(({ id }) => id));
  const { servers, next_cursor } = await client.findPage({ cursor: "…" });
  const { tools } = await client.toolsPage();
  const { by_health } = (await client.stats()).servers;
  for await (const event of client.watch({ tag: "local" }, { signal, since: "0-0" })) {
    if (event.kind === "snapshot") event.servers.forEach(started);
    else changed(event);
  }
  await client.deregister(lease);
  return [
    expires_at,
    health?.health ?? "",
    next_cursor ?? "",
    ...servers.map(started),
    ...tools.map(({ name }) => name),
    ...Object.keys(by_health),
  ];
}

export async function kept(): Promise<void> {
  const onStatus = (status: HeartbeatStatus) => (status.state === "failing" ? status.error.temporary : undefined);
  await using scoped: Heartbeat = client.keepAlive(registration, { onStatus, isAlive: () => true });
  const { lease } = await scoped.registered();
  scoped.replace({ ...registration, version: lease });
  await scoped.stop();
}

export async function picked(): Promise<Server | string> {
  try {
    return await client.pick("files");
  } catch (error) {
    if (error instanceof NoHealthyServers) return error.server;
    if (error instanceof ApiError) return error.errors.map(({ pointer }) => pointer).join();
    if (error instanceof Unreachable) return error.addresses.join();
    if (error instanceof NotRegistered) return error.id;
    if (error instanceof PaulinaError && error.temporary) return error.message;
    throw error;
  }
}

function started(server: Server): string {
  return server.transport === "stdio" ? server.command.join(" ") : server.url;
}

function changed({ kind, server }: Change): void {
  if (kind === "expired" || kind === "deregistered") console.log(server.id);
}

export async function announced(server: {
  connect(transport: object): Promise<void>;
  close(): Promise<void>;
}): Promise<void> {
  const announcement = announce(server, { tags: ["local"], environment: ["KEY"], log: () => undefined });
  announcement.changed();
  await announcement.registered();
  await announcement.stop();
}
