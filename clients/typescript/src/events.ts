/**
 * A parser for server-sent events,
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.
 */

export interface ServerSentEvent {
  /** The field `event`; empty if there is none. */
  kind: string;
  data: string;
}

/** Takes bytes as they arrive and returns complete events. */
export class Events {
  /** Ignores a byte order mark at the beginning of the stream. */
  readonly #decoder = new TextDecoder();
  #line = "";
  #afterCr = false;
  #kind = "";
  #data: string[] = [];

  /** Takes the next bytes of the stream; returns the events that they complete. */
  feed(bytes: Uint8Array): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return events;
    // A CR ended the line in the chunk before: its LF does not end another one.
    if (this.#afterCr && text.startsWith("\n")) text = text.slice(1);
    this.#afterCr = text.endsWith("\r");
    const [first = "", ...more] = text.split(/\r\n?|\n/);
    const lines = [this.#line + first, ...more];
    this.#line = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#takeLine(line);
      if (event) events.push(event);
    }
    return events;
  }

  #takeLine(line: string): ServerSentEvent | undefined {
    if (line === "") {
      const event = { kind: this.#kind, data: this.#data.join("\n") };
      const isEmpty = this.#data.length === 0;
      this.#kind = "";
      this.#data = [];
      return isEmpty ? undefined : event;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#kind = value;
    else if (field === "data") this.#data.push(value);
    // Comments and all other fields are ignored: the data contain the revision that `id` repeats.
    return undefined;
  }
}
