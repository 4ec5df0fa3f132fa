/**
 * Server-sent events out of the text of an answer,
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.
 */

export interface ServerSentEvent {
  /** What kind it is: the field `event`. */
  kind: string;
  data: string;
}

/** Takes text as it comes and gives events when they are whole. */
export class Events {
  #rest = "";
  #kind = "";
  #data: string[] = [];

  feed(text: string): ServerSentEvent[] {
    const whole: ServerSentEvent[] = [];
    const [first = "", ...more] = text.split("\n");
    const lines = [this.#rest + first, ...more];
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#take(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (event) whole.push(event);
    }
    return whole;
  }

  #take(line: string): ServerSentEvent | undefined {
    if (line === "") {
      const event = { kind: this.#kind, data: this.#data.join("\n") };
      const empty = this.#data.length === 0;
      this.#kind = "";
      this.#data = [];
      return empty ? undefined : event;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#kind = value;
    else if (field === "data") this.#data.push(value);
    // Anything else is a comment, or what the data say themselves.
    return undefined;
  }
}
