//! How a client reaches a server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of transport that MCP defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TransportKind {
    /// A program that speaks over its standard input and output.
    Stdio,
    /// Streamable HTTP. `http` is understood as well.
    StreamableHttp,
    /// HTTP with server-sent events, the older way.
    Sse,
}

impl TransportKind {
    /// The name in JSON and SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::StreamableHttp => "streamable-http",
            Self::Sse => "sse",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for TransportKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "stdio" => Ok(Self::Stdio),
            "streamable-http" | "http" => Ok(Self::StreamableHttp),
            "sse" => Ok(Self::Sse),
            _ => Err("must be stdio, streamable-http (or http) or sse"),
        }
    }
}

/// Something that a client has to provide: an environment variable or a header, by name. Values don't belong in a
/// registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Input {
    /// The name of the environment variable or header.
    #[cfg_attr(feature = "server", schema(example = "API_KEY"))]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the server works without it.
    #[serde(default)]
    pub required: bool,
    /// Whether its value must be kept from view.
    #[serde(default)]
    pub secret: bool,
}

impl Input {
    /// An optional, public input of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), description: None, required: false, secret: false }
    }
}

/// How a client reaches a server, with what each way needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A program to start.
    Stdio {
        /// The program and its arguments.
        command: Vec<String>,
        /// The environment variables that it reads.
        environment: Vec<Input>,
    },
    /// A streamable HTTP endpoint.
    StreamableHttp {
        /// Its address, absolute, http or https.
        url: String,
        /// The headers that it wants.
        headers: Vec<Input>,
    },
    /// An endpoint of HTTP with server-sent events.
    Sse {
        /// Its address, absolute, http or https.
        url: String,
        /// The headers that it wants.
        headers: Vec<Input>,
    },
}

impl Transport {
    /// Which of the three it is.
    #[must_use]
    pub fn kind(&self) -> TransportKind {
        match self {
            Self::Stdio { .. } => TransportKind::Stdio,
            Self::StreamableHttp { .. } => TransportKind::StreamableHttp,
            Self::Sse { .. } => TransportKind::Sse,
        }
    }

    /// The program and its arguments, with stdio.
    #[must_use]
    pub fn command(&self) -> Option<&[String]> {
        match self {
            Self::Stdio { command, .. } => Some(command),
            Self::StreamableHttp { .. } | Self::Sse { .. } => None,
        }
    }

    /// The address, with HTTP.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Stdio { .. } => None,
            Self::StreamableHttp { url, .. } | Self::Sse { url, .. } => Some(url),
        }
    }

    /// The declared environment variables; none but with stdio.
    #[must_use]
    pub fn environment(&self) -> &[Input] {
        match self {
            Self::Stdio { environment, .. } => environment,
            Self::StreamableHttp { .. } | Self::Sse { .. } => &[],
        }
    }

    /// The declared headers; none with stdio.
    #[must_use]
    pub fn headers(&self) -> &[Input] {
        match self {
            Self::Stdio { .. } => &[],
            Self::StreamableHttp { headers, .. } | Self::Sse { headers, .. } => headers,
        }
    }
}
