/** The client of Paulina, a registry for MCP servers. */

export { type AnnounceOptions, type Announcement, announce } from "./announce.js";
export { Client, type ClientOptions } from "./client.js";
export type { McpServerLike } from "./introspect.js";
export {
  ApiError,
  LeaseReplaced,
  NoHealthyServers,
  NotARegistry,
  NotRegistered,
  PaulinaError,
  type Problem,
  Unreachable,
  type Violation,
} from "./errors.js";
export type { ServerFilters, ToolFilters, WatchFilters } from "./filter.js";
export type { Heartbeat, HeartbeatOptions, HeartbeatStatus } from "./heartbeat.js";
export type * from "./types.js";
export type { WatchOptions } from "./watch.js";
