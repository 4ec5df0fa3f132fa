//! The routes by their names, for metrics and logs: an id in a path makes no route of its own.

/// The names of all routes; the last one is that of what there is no route for.
pub(in crate::http) const ALL: [&str; 20] = [
    "/v1/servers",
    "/v1/servers/{id}",
    "/v1/servers/{id}/refresh",
    "/v1/servers/{id}/health",
    "/v1/refresh",
    "/v1/tools",
    "/v1/stats",
    "/v1/watch",
    "/v1/promote",
    "/mcp",
    "/v0.1/servers",
    "/v0.1/servers/{name}",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/",
    "/docs",
    "/assets/{name}",
    "other",
];

/// The place of a path's route among [`ALL`].
pub(in crate::http) fn of(path: &str) -> usize {
    let name = match path.strip_prefix("/v1/servers/") {
        Some(rest) => match rest.split_once('/') {
            None if !rest.is_empty() => "/v1/servers/{id}",
            Some((_, "refresh")) => "/v1/servers/{id}/refresh",
            Some((_, "health")) => "/v1/servers/{id}/health",
            _ => "other",
        },
        None if path.starts_with("/assets/") => "/assets/{name}",
        None if path.starts_with("/v0.1/servers/") || path.starts_with("/v0/servers/") => {
            "/v0.1/servers/{name}"
        }
        None if path == "/v0/servers" => "/v0.1/servers",
        None => path,
    };
    ALL.iter().position(|known| *known == name).unwrap_or(ALL.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one_of_few_names() {
        for (path, name) in [
            ("/v1/servers", "/v1/servers"),
            ("/v1/servers/a", "/v1/servers/{id}"),
            ("/v1/servers/a/refresh", "/v1/servers/{id}/refresh"),
            ("/v1/servers/", "other"),
            ("/v1/servers/a/b", "other"),
            ("/assets/x.js", "/assets/{name}"),
            ("/wp-login.php", "other"),
        ] {
            assert_eq!(ALL[of(path)], name, "{path}");
        }
    }
}
