/** The client of Paulina, the registry for MCP servers. */

export { type AnnounceOptions, type Announcement, announce } from "./announce.js";
export { Client, type ClientOptions } from "./client.js";
export type { McpServerLike } from "./describe.js";
export {
  LeaseReplaced,
  NoHealthyServers,
  NotARegistry,
  NotRegistered,
  PaulinaError,
  type Problem,
  Refused,
  Unreachable,
  type Violation,
} from "./errors.js";
export type { ServerFilters, ToolFilters, WatchFilters } from "./filter.js";
export type { Beat, Heartbeat, HeartbeatOptions } from "./heartbeat.js";
export type * from "./types.js";
export type { WatchOptions } from "./watch.js";
