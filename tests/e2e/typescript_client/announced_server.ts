// A server of the official SDK, of either generation, that announces itself. Its arguments select further behavior.
//
//   node announced_server.js 1|2 [http URL] [grow] [low] [own-handler] [once] [once-in-front] [signal-exit] [exit] [throw]

import { createRequire } from "node:module";
import { McpServer as First, ResourceTemplate as FirstTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport as FirstStdio } from "@modelcontextprotocol/sdk/server/stdio.js";
import { McpServer as Second, ResourceTemplate as SecondTemplate } from "@modelcontextprotocol/server";
import { StdioServerTransport as SecondStdio } from "@modelcontextprotocol/server/stdio";
import { announce } from "paulina-client";
import { z } from "zod";

const [generation, ...options] = process.argv.slice(2);
const content = () => ({ content: [] });
const contents = () => ({ contents: [] });
const about = { name: "Rechner: vier", title: "Calculator", version: "1.2.3" };
const instructions = "Adds numbers.";

function first() {
  const server = new First(about, { instructions, capabilities: { logging: {} } });
  server.registerTool(
    "add",
    { title: "Add", description: "Adds two numbers", inputSchema: { a: z.number(), b: z.number() } },
    content,
  );
  server.registerResource("table", "table://sums", { description: "All sums" }, contents);
  const list = () => ({
    resources: [
      { uri: "sum://listed", name: "listed" },
      { uri: "table://sums", name: "again" },
    ],
  });
  server.registerResource("sum", new FirstTemplate("sum://{a}/{b}", { list }), { mimeType: "text/plain" }, contents);
  server.registerPrompt("explain", { description: "Explains a sum", argsSchema: { a: z.string() } }, () => ({
    messages: [],
  }));
  const grow = (): { remove(): void } => server.registerTool("subtract", {}, content);
  return { server, grow, connect: () => server.connect(new FirstStdio()) };
}

function second() {
  const server = new Second(about, { instructions, capabilities: { logging: {} } });
  server.registerTool(
    "add",
    { title: "Add", description: "Adds two numbers", inputSchema: z.object({ a: z.number(), b: z.number() }) },
    content,
  );
  server.registerResource("table", "table://sums", { description: "All sums" }, contents);
  const list = () => ({
    resources: [
      { uri: "sum://listed", name: "listed" },
      { uri: "table://sums", name: "again" },
    ],
  });
  server.registerResource("sum", new SecondTemplate("sum://{a}/{b}", { list }), { mimeType: "text/plain" }, contents);
  server.registerPrompt("explain", { description: "Explains a sum", argsSchema: z.object({ a: z.string() }) }, () => ({
    messages: [],
  }));
  const grow = (): { remove(): void } => server.registerTool("subtract", {}, content);
  return { server, grow, connect: () => server.connect(new SecondStdio()) };
}

function handle(): void {
  console.error("the program handles it");
  setTimeout(() => process.exit(7), 300);
}
if (options.includes("once")) process.once("SIGTERM", handle);
if (options.includes("signal-exit")) {
  const onSignalExit = createRequire(import.meta.url)("signal-exit") as (
    listener: (code: number | null, signal: string | null) => void,
  ) => void;
  onSignalExit((_, signal) => console.error(`signal-exit received ${signal}`));
}

const { server, grow, connect } = generation === "1" ? first() : second();
const url = options[0] === "http" ? options[1] : undefined;
const announcement = announce(options.includes("low") ? server.server : server, {
  id: process.env["ANNOUNCED_ID"],
  tags: ["announced"],
  metadata: { team: "search" },
  ttl: 3,
  url,
  environment: ["API_KEY"],
  headers: ["Authorization"],
});

if (options.includes("own-handler")) process.on("SIGTERM", handle);
if (options.includes("once-in-front")) process.prependOnceListener("SIGTERM", handle);
await connect();
if (options.includes("grow")) {
  const tool = await announcement.registered().then(() => grow());
  process.on("SIGUSR2", () => tool.remove());
}
if (options.includes("exit")) {
  await announcement.registered();
  process.exit(5);
}
if (options.includes("throw")) {
  await announcement.registered();
  throw new Error("an error of the server");
}
