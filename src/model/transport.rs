//! Transports: how a client reaches a server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The transports that MCP defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TransportKind {
    /// A program that communicates over its standard input and output.
    Stdio,
    /// Streamable HTTP. `http` is an alias.
    StreamableHttp,
    /// The legacy HTTP+SSE transport.
    Sse,
}

impl TransportKind {
    /// Returns the name in JSON and SQL.
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

/// An input that a client has to provide: an environment variable or a header, by name. Its value must not be registered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Input {
    /// The name of the environment variable or header.
    #[cfg_attr(feature = "server", schema(example = "API_KEY"))]
    pub name: String,
    /// What the input is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the server requires the input.
    #[serde(default)]
    pub required: bool,
    /// Whether the value is a secret.
    #[serde(default)]
    pub secret: bool,
}

impl Input {
    /// Creates an optional input that is not a secret.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), description: None, required: false, secret: false }
    }
}

/// How a client reaches a server, with what each transport needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "TransportMembers", try_from = "TransportMembers")]
pub enum Transport {
    /// A program to start.
    Stdio {
        /// The program and its arguments.
        command: Vec<String>,
        /// The environment variables that a client has to provide.
        environment: Vec<Input>,
    },
    /// A Streamable HTTP endpoint.
    StreamableHttp {
        /// The absolute http or https URL.
        url: String,
        /// The headers that a client has to provide.
        headers: Vec<Input>,
    },
    /// An endpoint of the legacy HTTP+SSE transport.
    Sse {
        /// The absolute http or https URL.
        url: String,
        /// The headers that a client has to provide.
        headers: Vec<Input>,
    },
}

impl Transport {
    /// Returns the kind of transport.
    #[must_use]
    pub fn kind(&self) -> TransportKind {
        match self {
            Self::Stdio { .. } => TransportKind::Stdio,
            Self::StreamableHttp { .. } => TransportKind::StreamableHttp,
            Self::Sse { .. } => TransportKind::Sse,
        }
    }

    /// Returns the program and its arguments, for stdio.
    #[must_use]
    pub fn command(&self) -> Option<&[String]> {
        match self {
            Self::Stdio { command, .. } => Some(command),
            Self::StreamableHttp { .. } | Self::Sse { .. } => None,
        }
    }

    /// Returns the URL, for HTTP.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Stdio { .. } => None,
            Self::StreamableHttp { url, .. } | Self::Sse { url, .. } => Some(url),
        }
    }

    /// Returns the declared environment variables, which only stdio has.
    #[must_use]
    pub fn environment(&self) -> &[Input] {
        match self {
            Self::Stdio { environment, .. } => environment,
            Self::StreamableHttp { .. } | Self::Sse { .. } => &[],
        }
    }

    /// Returns the declared headers, which stdio does not have.
    #[must_use]
    pub fn headers(&self) -> &[Input] {
        match self {
            Self::Stdio { .. } => &[],
            Self::StreamableHttp { headers, .. } | Self::Sse { headers, .. } => headers,
        }
    }
}

/// The members of a record that describe its transport.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub(crate) struct TransportMembers {
    /// How a client reaches the server.
    transport: TransportKind,
    /// The program and its arguments with stdio; otherwise null.
    #[cfg_attr(feature = "server", schema(required, example = json!(["/usr/local/bin/mcp-filesystem", "/srv"])))]
    command: Option<Vec<String>>,
    /// The URL with streamable-http and sse; otherwise null.
    #[cfg_attr(feature = "server", schema(required, example = json!(null)))]
    url: Option<String>,
    /// The environment variables that a client has to provide.
    environment: Vec<Input>,
    /// The headers that a client has to provide.
    headers: Vec<Input>,
}

impl From<Transport> for TransportMembers {
    fn from(own: Transport) -> Self {
        let transport = own.kind();
        match own {
            Transport::Stdio { command, environment } => {
                Self { transport, command: Some(command), url: None, environment, headers: Vec::new() }
            }
            Transport::StreamableHttp { url, headers } | Transport::Sse { url, headers } => {
                Self { transport, command: None, url: Some(url), environment: Vec::new(), headers }
            }
        }
    }
}

impl TryFrom<TransportMembers> for Transport {
    type Error = &'static str;

    fn try_from(members: TransportMembers) -> Result<Self, Self::Error> {
        let TransportMembers { transport, command, url, environment, headers } = members;
        let url = url.ok_or("this transport needs a url");
        Ok(match transport {
            TransportKind::Stdio => {
                Self::Stdio { command: command.ok_or("stdio needs a command")?, environment }
            }
            TransportKind::StreamableHttp => Self::StreamableHttp { url: url?, headers },
            TransportKind::Sse => Self::Sse { url: url?, headers },
        })
    }
}
