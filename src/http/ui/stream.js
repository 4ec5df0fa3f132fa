// Server-sent events over fetch: EventSource can neither send a token nor report an error response.

import { open, Problem, Unreachable } from "./api.js";

const STREAM_TIMEOUT_MS = 40_000;
const INITIAL_RECONNECT_WAIT_MS = 250;
const RECONNECT_WAIT_LIMIT_MS = 5_000;

/** Parses events from chunks of text. A snapshot can be megabytes long, so each character is read only once. */
export class EventParser {
  #lineParts = [];
  #isAfterCr = false;
  #event = { kind: "message", data: [], id: null };

  feed(text) {
    const events = [];
    let start = 0;
    for (const { 0: lineEnd, index } of text.matchAll(/\r\n|\n|\r/g)) {
      if (index === 0 && lineEnd === "\n" && this.#isAfterCr) {
        start = 1;
        continue;
      }
      this.#lineParts.push(text.slice(start, index));
      const line = this.#lineParts.join("");
      this.#lineParts = [];
      start = index + lineEnd.length;
      if (line) this.#takeField(line);
      else this.#finishEvent(events);
    }
    this.#lineParts.push(text.slice(start));
    this.#isAfterCr = text.endsWith("\r");
    return events;
  }

  #takeField(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#event.data.push(value);
    else if (name === "event") this.#event.kind = value;
    else if (name === "id") this.#event.id = value;
  }

  #finishEvent(events) {
    const { kind, data, id } = this.#event;
    this.#event = { kind: "message", data: [], id: null };
    if (data.length) events.push({ kind, data: data.join("\n"), id });
  }
}

/** Reads a response as events; calls `onData` whenever data arrives, comments included. */
export async function* events(response, onData = () => {}) {
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onData();
      yield* parser.feed(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A stream of events that reconnects and resumes automatically. */
export class WatchStream {
  #path;
  #handlers;
  #lastRevision = null;
  #abort = null;

  /** `handlers` has `onEvent(kind, data)`, `onConnect()`, `onDisconnect()` and `onReject(problem)`. A rejected stream stays closed. */
  constructor(path, handlers) {
    this.#path = path;
    this.#handlers = handlers;
  }

  get isOpen() {
    return this.#abort !== null;
  }

  start() {
    if (this.#abort) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#run(abort).catch((error) => {
      if (this.#abort === abort) this.#abort = null;
      if (!abort.signal.aborted) throw error;
    });
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
  }

  /** Stops, and discards the position: the next stream begins with a snapshot. */
  reset() {
    this.stop();
    this.#lastRevision = null;
  }

  async #run(abort) {
    for (let failures = 0; !abort.signal.aborted; failures += 1) {
      try {
        await this.#read(abort, () => {
          failures = 0;
        });
        this.#handlers.onDisconnect();
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof Problem && error.status < 500) {
          this.#abort = null;
          this.#handlers.onReject(error);
          return;
        }
        this.#handlers.onDisconnect();
      }
      const wait = Math.min(RECONNECT_WAIT_LIMIT_MS, INITIAL_RECONNECT_WAIT_MS * 2 ** Math.min(failures, 10));
      await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
    }
  }

  async #read(abort, onResponse) {
    const attempt = new AbortController();
    const signal = AbortSignal.any([abort.signal, attempt.signal]);
    let timer;
    const onData = () => {
      clearTimeout(timer);
      timer = setTimeout(() => attempt.abort(new Unreachable("the registry sends no data")), STREAM_TIMEOUT_MS);
    };
    onData();
    try {
      const response = await open(this.#path, { signal, ...(this.#lastRevision ? { "last-event-id": this.#lastRevision } : {}) });
      onResponse();
      this.#handlers.onConnect();
      for await (const { kind, data, id } of events(response, onData)) {
        const body = JSON.parse(data);
        this.#handlers.onEvent(kind, body);
        this.#lastRevision = id ?? body.revision ?? this.#lastRevision;
      }
    } finally {
      clearTimeout(timer);
      attempt.abort();
    }
  }
}
