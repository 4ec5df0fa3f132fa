// The filters, which are stored in the URL of the page, so that a copied URL shows the same view.

export const NO_FILTERS = Object.freeze({ q: "", transport: "", health: "", tags: [], capabilities: [] });
export const TRANSPORTS = ["stdio", "streamable-http", "sse"];
export const HEALTHS = ["healthy", "unhealthy"];

export function parseFilters(search) {
  const parameters = new URLSearchParams(search);
  const allowedValue = (name, allowed) => (allowed.includes(parameters.get(name)) ? parameters.get(name) : "");
  const values = (name) => [...new Set(parameters.getAll(name).filter(Boolean))];
  return {
    q: parameters.get("q") ?? "",
    transport: allowedValue("transport", TRANSPORTS),
    health: allowedValue("health", HEALTHS),
    tags: values("tag"),
    capabilities: values("capability"),
  };
}

export function formatFilters({ q, transport, health, tags, capabilities }) {
  const parameters = new URLSearchParams();
  if (q) parameters.set("q", q);
  if (transport) parameters.set("transport", transport);
  if (health) parameters.set("health", health);
  for (const tag of tags) parameters.append("tag", tag);
  for (const capability of capabilities) parameters.append("capability", capability);
  return parameters.size ? `?${parameters}` : "";
}

export const isEmpty = (filters) => formatFilters({ ...filters, q: filters.q.trim() }) === "";

/** Returns the path of the request to the API with these filters. */
export function serversPath(filters, limit) {
  const parameters = new URLSearchParams(formatFilters({ ...filters, q: filters.q.trim() }));
  parameters.delete("health");
  parameters.set("healthy", { healthy: "true", unhealthy: "false" }[filters.health] ?? "any");
  parameters.set("limit", limit);
  return `v1/servers?${parameters}`;
}

function hasCapability({ capabilities }, name) {
  const value = Object.hasOwn(capabilities, name) ? capabilities[name] : false;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** Whether a server matches all filters except `q`, which only the registry can evaluate. */
export function matches(server, { transport, health, tags, capabilities }) {
  return (!transport || server.transport === transport)
    && (!health || server.health === health)
    && tags.every((tag) => server.tags.includes(tag))
    && capabilities.every((name) => hasCapability(server, name));
}
