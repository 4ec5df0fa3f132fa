// The package as it is published: packed, installed into an empty folder, and used from there.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { CONSUMER, FOLDER, ROOT, WORK, run, start, until } from "./helpers.mjs";

const SOURCE = path.join(ROOT, "clients/typescript");
const HERE = path.join(ROOT, "tests/e2e/typescript_client");

/** Packs and installs the package. Returns its exports. */
export async function install() {
  const copy = path.join(FOLDER, "package");
  for (const folder of [copy, CONSUMER]) fs.rmSync(folder, { recursive: true, force: true });
  const own = (file) => !/node_modules|dist/.test(path.relative(SOURCE, file));
  fs.cpSync(SOURCE, copy, { recursive: true, filter: own });

  const manifest = JSON.parse(fs.readFileSync(path.join(copy, "package.json")));
  assert.equal(manifest.dependencies, undefined, "the package must have no dependencies");
  const tested = JSON.parse(fs.readFileSync(path.join(ROOT, "tests/e2e/package.json"))).dependencies;
  for (const [name, version] of Object.entries(manifest.devDependencies))
    assert.equal(tested[name], version, `${name} must have the same version everywhere`);

  const [{ filename, files, unpackedSize }] = JSON.parse(run("npm", ["pack", "--json", "--silent"], { cwd: copy }));
  const names = files.map((file) => file.path);
  for (const name of ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "dist/index.js", "dist/index.d.ts"])
    assert(names.includes(name), `${name} is missing in ${names}`);
  const unexpected = names.filter(
    (name) => !/^(package\.json|README\.md|LICENSE-\w+|dist\/[\w-]+\.(js|d\.ts))$/.test(name),
  );
  assert.deepEqual(unexpected, []);

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

/** Returns the code blocks of the README: complete files, and all others combined in one file. */
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

/** Type-checks the files of the README, and a program that uses the whole API, with the strictest options. */
export function types() {
  const files = examples();
  for (const [name, code] of Object.entries(files)) fs.writeFileSync(path.join(CONSUMER, name), code);
  for (const name of ["compile_check.ts", "announced_server.ts"])
    fs.copyFileSync(path.join(HERE, name), path.join(CONSUMER, name));
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
  // Checks the type declarations of this package, but not those of other packages.
  tsc("--noEmit", "--skipLibCheck", "false", "--types", "", "--lib", "es2022,dom", "compile_check.ts");
  tsc("--skipLibCheck", "compile_check.ts", "announced_server.ts", ...Object.keys(files));
}

/** Runs the test vectors that the Rust, Python and TypeScript clients share, with the installed modules. */
export function vectors() {
  const modules = path.join(CONSUMER, "node_modules/paulina-client/dist");
  return run("node", [path.join(SOURCE, "tests/vectors.mjs"), modules]).trim();
}

/** Runs the server and the client of the README without changes. */
export async function readme(registry) {
  const env = { PAULINA_URL: registry.url };
  const server = start("node", ["server.js"], { cwd: CONSUMER, env });
  const found = () => registry.paulina("find", "--tool", "add", "--output", "ids").trim();
  const id = await until(found, 5, "the server is registered");
  const table = registry.paulina("ls");
  const client = start("node", ["client.js"], { cwd: CONSUMER, env });
  assert.equal(await client.ended, 0, client.err);
  const documented = readmeText().match(/that prints\n\n```\n([\s\S]*?)```/);
  assert.equal(client.out, documented[1]);
  server.stdin.end();
  assert.equal(await server.ended, 0, server.err);
  assert.equal(server.out, "");
  await until(registry.lacks(id), 1, "the server is deregistered");
  return table.trimEnd().replaceAll("\n", "\n    ");
}
