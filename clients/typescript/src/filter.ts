/** The filters of `find`, `tools` and `watch`. All filters must match; several values of one filter must all match. */

type OneOrMany = string | readonly string[];

/** The filters of a watch. */
export interface WatchFilters {
  name?: OneOrMany | undefined;
  tool?: OneOrMany | undefined;
  prompt?: OneOrMany | undefined;
  /** A URI: matches servers that registered it, or a template that matches it. */
  resource?: OneOrMany | undefined;
  /** `tools`, `resources` and `prompts` match servers that offer at least one. */
  capability?: OneOrMany | undefined;
  tag?: OneOrMany | undefined;
  /** The same as `tag` with several values. */
  tags?: readonly string[] | undefined;
  transport?: "stdio" | "streamable-http" | "http" | "sse" | undefined;
  version?: OneOrMany | undefined;
  /** Matches servers that were registered with the token of this name. */
  owner?: OneOrMany | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  healthy?: true | "any" | undefined;
}

export interface ToolFilters extends Omit<WatchFilters, "healthy"> {
  /** Full-text search, with words or a sentence, best match first; at most 2,000 characters. */
  q?: string | undefined;
  /** With `all`, every word of `q` must match the beginning of a word; by default, the relevant ones. */
  match?: "any" | "all" | undefined;
  /** Healthy servers by default. */
  healthy?: boolean | "any" | undefined;
  /** The maximum number of results; by default all. For a page: 1–1,000, by default 100. */
  limit?: number | undefined;
  /** The end of another page. */
  cursor?: string | undefined;
}

export interface ServerFilters extends ToolFilters {
  /** `summary`, the default, contains no schemas; `full` contains everything that was registered. */
  view?: "summary" | "full" | undefined;
}

export type Query = readonly (readonly [key: string, value: string])[];

/** The filters as query parameters. The registry rejects unknown ones. */
export function query(filters: object): Query {
  return Object.entries(filters).flatMap(([key, value]: [string, unknown]): Query => {
    if (value === undefined || value === null) return [];
    if (key === "metadata") return Object.entries(value).map(([name, text]) => [key, `${name}:${text}`]);
    // `tags=a,b` would match the tags a and b. No tag contains a comma, so a `tag` with one matches nothing.
    const parameter = key === "tags" ? "tag" : key;
    return (Array.isArray(value) ? value : [value]).map((one) => [parameter, String(one)]);
  });
}
