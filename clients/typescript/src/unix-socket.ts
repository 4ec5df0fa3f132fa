/** A registry that listens on a Unix socket, which fetch cannot reach. */

import { request } from "node:http";
import { Readable } from "node:stream";

/** What fetch does, over the socket at this path. */
export function overSocket(socketPath: string) {
  return (
    url: URL,
    { method, headers, body, signal }: RequestInit & { headers: Record<string, string> },
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      const path = url.pathname + url.search;
      const asking = request({ socketPath, path, method: method ?? "GET", headers, signal: signal ?? undefined });
      asking.on("error", reject);
      asking.on("response", (answer) => {
        const told = new Headers();
        for (const [name, values] of Object.entries(answer.headersDistinct))
          values?.forEach((value) => told.append(name, value));
        const status = answer.statusCode ?? 0;
        const empty = status === 204 || status === 304;
        if (empty) answer.resume();
        resolve(
          new Response(empty ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>), {
            status,
            headers: told,
          }),
        );
      });
      asking.end(body);
    });
}
