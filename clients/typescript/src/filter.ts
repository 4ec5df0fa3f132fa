/** Which servers, or which tools, somebody asks for. All filters must hold; several values of one mean all of them. */

type OneOrMany = string | readonly string[];

/** What a watcher can ask for. */
export interface WatchFilters {
  name?: OneOrMany | undefined;
  tool?: OneOrMany | undefined;
  prompt?: OneOrMany | undefined;
  /** A URI: servers that registered it, or a template that matches it. */
  resource?: OneOrMany | undefined;
  /** `tools`, `resources` and `prompts` find the servers that have any. */
  capability?: OneOrMany | undefined;
  tag?: OneOrMany | undefined;
  /** The same as `tag` with several. */
  tags?: readonly string[] | undefined;
  transport?: "stdio" | "streamable-http" | "http" | "sse" | undefined;
  version?: OneOrMany | undefined;
  /** Servers registered with the token of this name. */
  owner?: OneOrMany | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  healthy?: true | "any" | undefined;
}

export interface ToolFilters extends Omit<WatchFilters, "healthy"> {
  /** What is needed, in words or in a sentence, best first; at most 2,000 characters. */
  q?: string | undefined;
  /** With `all`, every word of `q` must match, as the beginning of a word. */
  match?: "any" | "all" | undefined;
  /** Healthy ones if not set. */
  healthy?: boolean | "any" | undefined;
  /** At most so many. `find` and `tools` give all if it is not set; a page holds 1–1,000, and 100 if it is not set. */
  limit?: number | undefined;
  /** Where another page ended. */
  cursor?: string | undefined;
}

export interface ServerFilters extends ToolFilters {
  /** `summary`, if not set, leaves schemas out; `full` holds all that was registered. */
  view?: "summary" | "full" | undefined;
}

export type Query = readonly (readonly [key: string, value: string])[];

/** The parameters that say so. What the registry does not know it refuses, and says so. */
export function query(filters: object): Query {
  return Object.entries(filters).flatMap(([key, value]: [string, unknown]): Query => {
    if (value === undefined || value === null) return [];
    if (key === "metadata") return Object.entries(value).map(([name, text]) => [key, `${name}:${text}`]);
    // `tags=a,b` would make two tags of one with a comma, which no server has.
    const parameter = key === "tags" ? "tag" : key;
    return (Array.isArray(value) ? value : [value]).map((one) => [parameter, String(one)]);
  });
}
