/** HTTP to a registry that listens on a Unix socket, which `fetch` does not support. */

import { request } from "node:http";
import { Readable } from "node:stream";

/** A function like `fetch` that uses the socket at this path. */
export function fetchOverSocket(socketPath: string) {
  return (
    url: URL,
    { method, headers, body, signal }: RequestInit & { headers: Record<string, string> },
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      const path = url.pathname + url.search;
      const outgoing = request({ socketPath, path, method: method ?? "GET", headers, signal: signal ?? undefined });
      outgoing.on("error", reject);
      outgoing.on("response", (incoming) => {
        const received = new Headers();
        for (const [name, values] of Object.entries(incoming.headersDistinct))
          values?.forEach((value) => received.append(name, value));
        const status = incoming.statusCode ?? 0;
        const isEmpty = status === 204 || status === 304;
        if (isEmpty) incoming.resume();
        resolve(
          new Response(isEmpty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>), {
            status,
            headers: received,
          }),
        );
      });
      outgoing.end(body);
    });
}
