// The package as it is published: packed, installed into an empty folder, and used from there.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { CONSUMER, FOLDER, ROOT, WORK, run, start, until } from "./support.mjs";

const SOURCE = path.join(ROOT, "clients/typescript");
const HERE = path.join(ROOT, "tests/e2e/typescript");

/** Packs it and installs it; gives what it exports. */
export async function install() {
  const copy = path.join(FOLDER, "package");
  for (const folder of [copy, CONSUMER]) fs.rmSync(folder, { recursive: true, force: true });
  const own = (file) => !/node_modules|dist/.test(path.relative(SOURCE, file));
  fs.cpSync(SOURCE, copy, { recursive: true, filter: own });

  const manifest = JSON.parse(fs.readFileSync(path.join(copy, "package.json")));
  assert.equal(manifest.dependencies, undefined, "it depends on nothing");
  const tested = JSON.parse(fs.readFileSync(path.join(ROOT, "tests/e2e/package.json"))).dependencies;
  for (const [name, version] of Object.entries(manifest.devDependencies))
    assert.equal(tested[name], version, `${name} is the same everywhere`);

  const [{ filename, files, unpackedSize }] = JSON.parse(run("npm", ["pack", "--json", "--silent"], { cwd: copy }));
  const names = files.map((file) => file.path);
  for (const name of ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "dist/index.js", "dist/index.d.ts"])
    assert(names.includes(name), `${name} is in ${names}`);
  const strange = names.filter((name) => !/^(package\.json|README\.md|LICENSE-\w+|dist\/[\w-]+\.(js|d\.ts))$/.test(name));
  assert.deepEqual(strange, []);

  fs.mkdirSync(CONSUMER);
  fs.writeFileSync(path.join(CONSUMER, "package.json"), JSON.stringify({ private: true, type: "module" }));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent", path.join(copy, filename)], {
    cwd: CONSUMER,
  });
  assert.deepEqual(
    fs.readdirSync(path.join(CONSUMER, "node_modules")).filter((name) => !name.startsWith(".")),
    ["paulina-client"],
  );
  console.log(`  ${filename}: ${names.length} files, ${Math.round(unpackedSize / 1024)} KiB`);
  return import(path.join(CONSUMER, "node_modules/paulina-client/dist/index.js"));
}

const readmeText = () => fs.readFileSync(path.join(CONSUMER, "node_modules/paulina-client/README.md"), "utf8");

/** The code blocks of the README: those that are whole files, and the others together in one. */
function examples() {
  const files = {};
  let fragments = "";
  for (const [, name, code] of readmeText().matchAll(/```ts\n(?:\/\/ (\w+\.ts)\n)?([\s\S]*?)```/g)) {
    if (name) files[name] = code;
    else fragments += code;
  }
  assert.deepEqual(Object.keys(files), ["server.ts", "client.ts"]);
  const around = (body) =>
    `import { Client, type Server } from "paulina-client";\nexport async function all(signal: AbortSignal) {\n${body}}\n`;
  return { ...files, "fragments.ts": around(fragments) };
}

/** What TypeScript says of the README's files, and of a program that uses everything, in the strictest way that there is. */
export function types() {
  const files = examples();
  for (const [name, code] of Object.entries(files)) fs.writeFileSync(path.join(CONSUMER, name), code);
  for (const name of ["consumer.ts", "announced.ts"]) fs.copyFileSync(path.join(HERE, name), path.join(CONSUMER, name));
  const strictest = [
    "--strict",
    "--noUncheckedIndexedAccess",
    "--exactOptionalPropertyTypes",
    "--target",
    "es2022",
    "--module",
    "nodenext",
    "--types",
    "node",
  ];
  const tsc = (...args) => run("npx", ["--no-install", "tsc", ...strictest, ...args], { cwd: CONSUMER });
  // The types of the package are looked into; those of others are theirs.
  tsc("--noEmit", "--skipLibCheck", "false", "--types", "", "--lib", "es2022,dom", "consumer.ts");
  tsc("--skipLibCheck", "consumer.ts", "announced.ts", ...Object.keys(files));
}

/** The README's server and client, as they stand there. */
export async function readme(registry) {
  const env = { PAULINA_URL: registry.url };
  const server = start("node", ["server.js"], { cwd: CONSUMER, env });
  const found = () => registry.paulina("find", "--tool", "add", "--output", "ids").trim();
  const id = await until(found, 5, "the server is registered");
  const table = registry.paulina("ls");
  const client = start("node", ["client.js"], { cwd: CONSUMER, env });
  assert.equal(await client.ended, 0, client.err);
  const promised = readmeText().match(/that prints\n\n```\n([\s\S]*?)```/);
  assert.equal(client.out, promised[1]);
  server.stdin.end();
  assert.equal(await server.ended, 0, server.err);
  assert.equal(server.out, "");
  await until(registry.lacks(id), 1, "the server is gone");
  return table.trimEnd().replaceAll("\n", "\n    ");
}
