//! The routes of the server, and their properties in the pipeline.

use std::time::Duration;

use axum::http::Method;
use tracing::Level;

use crate::http::server::limits::Limits;
use crate::model::Role;

/// A route of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Route {
    Servers,
    Server,
    Refresh,
    LeaseHealth,
    RefreshMany,
    Tools,
    Stats,
    Watch,
    Promote,
    Mcp,
    OfficialServers,
    OfficialServer,
    Healthz,
    Readyz,
    Metrics,
    OpenApi,
    Dashboard,
    Docs,
    Asset,
    /// A path without a route.
    Unmatched,
}

/// The authorization that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Requirement {
    /// None: the response reveals nothing about the registered servers except their number.
    Nothing,
    /// A token with this role, unless the catalog is public.
    Catalog(Role),
    /// A token with this role.
    Role(Role),
}

/// Which limits a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum AdmissionClass {
    /// A lease refresh, which keeps servers alive.
    Refresh,
    /// A health check or static content, whose response costs next to nothing.
    Probe,
    /// A stream that lasts until the client closes it.
    Watch,
    /// Any other request.
    Other,
}

/// The format of error responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum ErrorFormat {
    /// RFC 9457.
    Problem,
    /// RFC 9457 with the member that clients of the official registry's API read.
    OfficialRegistry,
}

impl Route {
    pub(in crate::http) const ALL: [Self; 20] = [
        Self::Servers,
        Self::Server,
        Self::Refresh,
        Self::LeaseHealth,
        Self::RefreshMany,
        Self::Tools,
        Self::Stats,
        Self::Watch,
        Self::Promote,
        Self::Mcp,
        Self::OfficialServers,
        Self::OfficialServer,
        Self::Healthz,
        Self::Readyz,
        Self::Metrics,
        Self::OpenApi,
        Self::Dashboard,
        Self::Docs,
        Self::Asset,
        Self::Unmatched,
    ];

    /// Returns the route of a path.
    pub(in crate::http) fn of(path: &str) -> Self {
        match path {
            "/v1/servers" => Self::Servers,
            "/v1/refresh" => Self::RefreshMany,
            "/v1/tools" => Self::Tools,
            "/v1/stats" => Self::Stats,
            "/v1/watch" => Self::Watch,
            "/v1/promote" => Self::Promote,
            "/mcp" => Self::Mcp,
            "/v0.1/servers" | "/v0/servers" => Self::OfficialServers,
            "/healthz" => Self::Healthz,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            "/" => Self::Dashboard,
            "/docs" => Self::Docs,
            _ => Self::with_parameter(path),
        }
    }

    fn with_parameter(path: &str) -> Self {
        if let Some(rest) = path.strip_prefix("/v1/servers/") {
            return match rest.split_once('/') {
                None if !rest.is_empty() => Self::Server,
                Some((_, "refresh")) => Self::Refresh,
                Some((_, "health")) => Self::LeaseHealth,
                _ => Self::Unmatched,
            };
        }
        if path.starts_with("/v0.1/servers/") || path.starts_with("/v0/servers/") {
            Self::OfficialServer
        } else if path.starts_with("/assets/") {
            Self::Asset
        } else {
            Self::Unmatched
        }
    }

    /// Returns the route's name in metrics and logs, independent of parameters in the path.
    pub(in crate::http) const fn template(self) -> &'static str {
        match self {
            Self::Servers => "/v1/servers",
            Self::Server => "/v1/servers/{id}",
            Self::Refresh => "/v1/servers/{id}/refresh",
            Self::LeaseHealth => "/v1/servers/{id}/health",
            Self::RefreshMany => "/v1/refresh",
            Self::Tools => "/v1/tools",
            Self::Stats => "/v1/stats",
            Self::Watch => "/v1/watch",
            Self::Promote => "/v1/promote",
            Self::Mcp => "/mcp",
            Self::OfficialServers => "/v0.1/servers",
            Self::OfficialServer => "/v0.1/servers/{name}",
            Self::Healthz => "/healthz",
            Self::Readyz => "/readyz",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
            Self::Dashboard => "/",
            Self::Docs => "/docs",
            Self::Asset => "/assets/{name}",
            Self::Unmatched => "other",
        }
    }

    /// Returns the authorization that a request needs.
    pub(in crate::http) fn requirement(self, method: &Method) -> Requirement {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let role = if is_read { Role::Read } else { Role::Register };
        match self {
            Self::Healthz
            | Self::Readyz
            | Self::Metrics
            | Self::OpenApi
            | Self::Dashboard
            | Self::Docs
            | Self::Asset => Requirement::Nothing,
            Self::OfficialServers | Self::OfficialServer => Requirement::Catalog(role),
            Self::Promote => Requirement::Role(Role::Admin),
            // Every message is a POST; each handler decides whether the token may also write.
            Self::Mcp => Requirement::Role(Role::Read),
            _ => Requirement::Role(role),
        }
    }

    /// Returns the limits that a request counts against.
    pub(in crate::http) fn admission(self, method: &Method) -> AdmissionClass {
        match self {
            Self::Refresh | Self::RefreshMany if matches!(*method, Method::PUT | Method::POST) => {
                AdmissionClass::Refresh
            }
            Self::Watch if *method == Method::GET => AdmissionClass::Watch,
            _ if self.requirement(method) == Requirement::Nothing => AdmissionClass::Probe,
            _ => AdmissionClass::Other,
        }
    }

    /// Returns the log level of a request. Operators want to see writes, but not thousands of heartbeats. Requests to `/mcp` are
    /// mostly reads; the registry itself logs the registrations among them.
    pub(in crate::http) fn log_level(self, method: &Method) -> Level {
        match self {
            Self::Refresh | Self::RefreshMany | Self::Mcp => Level::DEBUG,
            _ if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) => Level::DEBUG,
            _ => Level::INFO,
        }
    }

    /// Returns how long the response may take.
    pub(in crate::http) const fn time_limit(self, limits: &Limits) -> Duration {
        match self {
            // It restores and checks the replica.
            Self::Promote => Duration::from_mins(5),
            _ => limits.request_time,
        }
    }

    /// Returns the format of error responses.
    pub(in crate::http) const fn error_format(self) -> ErrorFormat {
        match self {
            Self::OfficialServers | Self::OfficialServer => ErrorFormat::OfficialRegistry,
            _ => ErrorFormat::Problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_maps_to_a_route() {
        for (path, template) in [
            ("/v1/servers", "/v1/servers"),
            ("/v1/servers/a", "/v1/servers/{id}"),
            ("/v1/servers/a/refresh", "/v1/servers/{id}/refresh"),
            ("/v1/servers/", "other"),
            ("/v1/servers/a/b", "other"),
            ("/v0/servers", "/v0.1/servers"),
            ("/v0/servers/a/versions", "/v0.1/servers/{name}"),
            ("/v0.1/serversx", "other"),
            ("/assets/x.js", "/assets/{name}"),
            ("/wp-login.php", "other"),
        ] {
            assert_eq!(Route::of(path).template(), template, "{path}");
        }
        for (index, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, index, "the order of ALL is that of the variants");
            assert_eq!(Route::of(route.template()), route, "a template maps to its own route");
        }
    }

    #[test]
    fn requests_count_against_the_limits_of_their_class() {
        for (method, path, class) in [
            (Method::PUT, "/v1/servers/a/refresh", AdmissionClass::Refresh),
            (Method::POST, "/v1/refresh", AdmissionClass::Refresh),
            (Method::GET, "/readyz", AdmissionClass::Probe),
            (Method::GET, "/openapi.json", AdmissionClass::Probe),
            (Method::GET, "/v1/watch", AdmissionClass::Watch),
            (Method::GET, "/v1/servers", AdmissionClass::Other),
            (Method::GET, "/v1/servers/refresh", AdmissionClass::Other),
        ] {
            assert_eq!(Route::of(path).admission(&method), class, "{path}");
        }
    }

    #[test]
    fn the_required_role_depends_on_route_and_method() {
        for (method, path, requirement) in [
            (Method::GET, "/metrics", Requirement::Nothing),
            (Method::GET, "/v0/servers/a", Requirement::Catalog(Role::Read)),
            (Method::HEAD, "/v1/servers", Requirement::Role(Role::Read)),
            (Method::POST, "/mcp", Requirement::Role(Role::Read)),
            (Method::POST, "/v1/servers", Requirement::Role(Role::Register)),
            (Method::DELETE, "/nowhere", Requirement::Role(Role::Register)),
            (Method::POST, "/v1/promote", Requirement::Role(Role::Admin)),
        ] {
            assert_eq!(Route::of(path).requirement(&method), requirement, "{method} {path}");
        }
    }
}
