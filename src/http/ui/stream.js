// Server-sent events over fetch: EventSource can neither send a token nor report an error response.

import { open, Problem, Unreachable } from "./api.js";

const SILENCE_MS = 40_000;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;

/** Parses events from chunks of text. A snapshot can be megabytes long, so each character is read only once. */
export class EventParser {
  #pieces = [];
  #afterReturn = false;
  #event = { event: "message", data: [], id: null };

  push(text) {
    const events = [];
    let start = 0;
    for (const { 0: end, index } of text.matchAll(/\r\n|\n|\r/g)) {
      if (index === 0 && end === "\n" && this.#afterReturn) {
        start = 1;
        continue;
      }
      this.#pieces.push(text.slice(start, index));
      const line = this.#pieces.join("");
      this.#pieces = [];
      start = index + end.length;
      if (line) this.#field(line);
      else this.#finish(events);
    }
    this.#pieces.push(text.slice(start));
    this.#afterReturn = text.endsWith("\r");
    return events;
  }

  #field(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#event.data.push(value);
    else if (name === "event") this.#event.event = value;
    else if (name === "id") this.#event.id = value;
  }

  #finish(events) {
    const { event, data, id } = this.#event;
    this.#event = { event: "message", data: [], id: null };
    if (data.length) events.push({ event, data: data.join("\n"), id });
  }
}

/** Reads a response as events; `heard` is called whenever data arrives, comments included. */
export async function* events(response, heard = () => {}) {
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A stream that reconnects and resumes automatically. */
export class Watch {
  #path;
  #on;
  #last = null;
  #abort = null;

  /** `on` has `event(name, data)`, `connected()`, `lost(error)` and `refused(problem)`; after `refused` it stays closed. */
  constructor(path, on) {
    this.#path = path;
    this.#on = on;
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

  /** Discards the position: the next stream begins with a snapshot. */
  reset() {
    this.stop();
    this.#last = null;
  }

  async #run(abort) {
    for (let failures = 0; !abort.signal.aborted; failures += 1) {
      try {
        await this.#read(abort, () => {
          failures = 0;
        });
        this.#on.lost(new Unreachable("the stream ended"));
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof Problem && error.status < 500) {
          this.#abort = null;
          this.#on.refused(error);
          return;
        }
        this.#on.lost(error);
      }
      const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 10));
      await new Promise((resolve) => setTimeout(resolve, delay * (0.5 + Math.random() / 2)));
    }
  }

  async #read(abort, arrived) {
    const attempt = new AbortController();
    const signal = AbortSignal.any([abort.signal, attempt.signal]);
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => attempt.abort(new Unreachable("the registry sends no data")), SILENCE_MS);
    };
    heard();
    try {
      const response = await open(this.#path, { signal, ...(this.#last ? { "last-event-id": this.#last } : {}) });
      arrived();
      this.#on.connected();
      for await (const { event, data, id } of events(response, heard)) {
        const body = JSON.parse(data);
        this.#on.event(event, body);
        this.#last = id ?? body.revision ?? this.#last;
      }
    } finally {
      clearTimeout(timer);
      attempt.abort();
    }
  }
}
