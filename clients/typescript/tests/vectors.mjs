// Runs the test vectors that the Rust, Python and TypeScript clients share (tests/vectors of the repository).
//
//   node tests/vectors.mjs [DIST]        DIST contains the compiled modules; by default dist

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const HERE = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const DIST = path.resolve(process.argv[2] ?? path.join(HERE, "../dist"));

const load = (name) => import(pathToFileURL(path.join(DIST, `${name}.js`)));
const vectors = (name) => JSON.parse(fs.readFileSync(path.join(HERE, "../../../tests/vectors", `${name}.json`), "utf8"));
const undefinedIfNull = (value) => value ?? undefined;

const { ApiError, LeaseReplaced, NotARegistry, NotRegistered, Unreachable } = await load("errors");
const failover = await load("failover");
const heartbeat = await load("heartbeat");
const { Events } = await load("events");
const { shortened } = await load("time");
const { reconnectWait } = await load("watch");

const outcome = ({ outcome: kind, status, from_standby }) =>
  kind === "response" ? { kind, status, fromStandby: from_standby } : { kind };

const ERRORS = {
  not_registered: NotRegistered,
  lease_replaced: LeaseReplaced,
  api_error: ApiError,
  not_a_registry: NotARegistry,
};

const FAILOVER = {
  decide: (it) => {
    const flags = { isRetry: it.is_retry, notIdempotent: it.not_idempotent };
    assert.equal(failover.decide(outcome(it), flags), it.decision);
  },
  may_have_been_processed: (it) => assert.equal(failover.mayHaveBeenProcessed(outcome(it)), it.expected),
  address_order: ({ addresses, steps }) => {
    const order = new failover.AddressOrder();
    for (const step of steps) {
      if (step.order) assert.deepEqual(order.ordered(addresses, step.at), step.order, JSON.stringify(step));
      else
        order.recordResponse(step.response_from, step.at, { fromStandby: step.from_standby, wasFirst: step.was_first });
    }
  },
  errors: ({ status, body, error, temporary, violations = 0 }) => {
    const reply = { status, headers: new Headers(), text: body };
    const found = new failover.Answer(reply, "http://127.0.0.1", false).error("x");
    assert.equal(found.constructor, ERRORS[error]);
    assert.deepEqual([found.temporary, found.errors?.length ?? 0], [temporary, violations]);
  },
};

const errors = {
  not_registered: new NotRegistered("x"),
  lease_replaced: new LeaseReplaced("x"),
  unreachable: new Unreachable(["x"], "y"),
  not_a_registry: new NotARegistry("x", "y"),
};

const HEARTBEAT = {
  outcomes: ({ error, status, outcome: expected }) => {
    const found = status ? new ApiError({ code: "code", detail: "detail", status }) : errors[error];
    assert.equal(heartbeat.outcomeOf(found), expected);
  },
  decide: ({ step, outcome: of, action }) => assert.equal(heartbeat.decide(step, of), action),
  failed_replacement: ({ registration, current, outcome: expected }) =>
    assert.equal(heartbeat.failedReplacement(registration, current), expected),
  wait: ({ action, ttl, refresh_after, failures, wait, shortened_by }) =>
    assert.deepEqual(heartbeat.wait(action, ttl, undefinedIfNull(refresh_after), failures), [wait, shortened_by]),
  ttl: ({ given, ttl }) => assert.equal(heartbeat.ttlOf({ ttl: undefinedIfNull(given) }), ttl * 1_000),
  request_timeout: ({ ttl, timeout }) => assert.equal(heartbeat.requestTimeout(ttl), timeout),
};

const bytes = (chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : Buffer.from(chunk.hex, "hex"));

function parsed(chunks) {
  const events = new Events();
  return chunks.flatMap((chunk) => events.feed(chunk));
}

const SSE = {
  events: ({ chunks, events }) => {
    assert.deepEqual(parsed(chunks.map(bytes)), events);
    const stream = Buffer.concat(chunks.map(bytes));
    for (let size = 1; size <= stream.length; size += 1) {
      const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, index) =>
        stream.subarray(index * size, (index + 1) * size),
      );
      assert.deepEqual(parsed(pieces), events, `in chunks of ${size}`);
    }
  },
  content_types: ({ content_type, is_event_stream }) =>
    assert.equal(failover.isEventStream(content_type), is_event_stream),
  reconnect_wait: ({ failures, wait }) => assert.equal(reconnectWait(failures), wait),
};

let count = 0;
for (const [name, tests] of Object.entries({ failover: FAILOVER, heartbeat: HEARTBEAT, sse: SSE })) {
  const { description: _, ...sections } = vectors(name);
  assert.deepEqual(Object.keys(sections).sort(), Object.keys(tests).sort(), `${name}.json: every section is tested`);
  for (const [section, cases] of Object.entries(sections)) {
    for (const vector of cases) {
      try {
        tests[section](vector);
      } catch (error) {
        error.message = `${name}.json, ${section}, ${JSON.stringify(vector)}: ${error.message}`;
        throw error;
      }
      count += 1;
    }
  }
}
for (const percent of [0, 10, 50]) {
  for (let round = 0; round < 1_000; round += 1) {
    const ms = shortened(1_000, percent);
    assert(ms <= 1_000 && ms >= 1_000 - 10 * percent, `${ms} ms, shortened by ${percent} %`);
  }
}
console.log(`${count} vectors: passed`);
