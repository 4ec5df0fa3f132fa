// A client of the TypeScript SDK: asks the registry and prints what it saw as JSON, which report.py checks.
//
//   node typescript_sdk.mjs GENERATION legacy|auto QUESTIONS TARGET…
//
// TARGET is a URL, or a command and its arguments. QUESTIONS is JSON. The packages come from target/e2e/node_modules.

import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const WORK = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../target/e2e");
const require = createRequire(path.join(WORK, "package.json"));
const [generation, mode, text, ...target] = process.argv.slice(2);
const questions = JSON.parse(text);

/** The same classes from one generation of the SDK. */
async function sdk() {
  const load = (name) => import(pathToFileURL(require.resolve(name)));
  if (generation === "1") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");
    return { Client, StreamableHTTPClientTransport, StdioClientTransport };
  }
  return { ...(await load("@modelcontextprotocol/client")), ...(await load("@modelcontextprotocol/client/stdio")) };
}

const { Client, StreamableHTTPClientTransport, StdioClientTransport } = await sdk();
const client = new Client({ name: "registry_mcp", version: "1" }, { versionNegotiation: { mode } });
let events = [];
client.fallbackNotificationHandler = async ({ method, params }) => {
  const what = method.replace("notifications/resources/", "");
  events.push([params?.uri ? `${what} ${params.uri}` : what, performance.now()]);
};

async function errorOf(question) {
  try {
    return await question();
  } catch (error) {
    return { code: error.code, message: error.message };
  }
}

const call = ([name, args]) => client.callTool({ name, arguments: args });

/** Calls a tool, and waits for `count` events. Returns them with their delays in seconds. */
async function change([name, args, count]) {
  events = [];
  const startedAt = performance.now();
  const answer = await call([name, args]);
  while (events.length < count && performance.now() < startedAt + 2000)
    await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { answer, events: events.map(([what, when]) => [what, (when - startedAt) / 1000]) };
}

await client.connect(
  target.length === 1
    ? new StreamableHTTPClientTransport(new URL(target[0]))
    : new StdioClientTransport({ command: target[0], args: target.slice(1) }),
);
const seen = {
  version: client.getNegotiatedProtocolVersion?.() ?? client.transport.protocolVersion ?? null,
  server: client.getServerVersion(),
  capabilities: client.getServerCapabilities(),
  instructions: client.getInstructions(),
  tools: (await client.listTools()).tools,
  templates: (await client.listResourceTemplates()).resourceTemplates,
  resources: (await client.listResources()).resources,
  answers: [],
  refused: [],
  read: [],
  changes: [],
};
for (const question of questions.calls) seen.answers.push(await call(question));
for (const question of questions.refused) seen.refused.push(await errorOf(() => call(question)));
for (const uri of questions.read) seen.read.push((await client.readResource({ uri })).contents[0]);
seen.refused.push(await errorOf(() => client.readResource({ uri: questions.no_resource })));
if (questions.changes.length > 0) {
  const uris = questions.subscribe;
  if (client.getProtocolEra?.() === "modern") {
    await client.listen({ resourcesListChanged: true, resourceSubscriptions: uris });
  } else {
    for (const uri of uris) await client.subscribeResource({ uri });
  }
  for (const step of questions.changes) seen.changes.push(await change(step));
}
await client.close();
console.log(JSON.stringify(seen));
