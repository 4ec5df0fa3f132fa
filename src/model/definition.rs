//! Tools and prompts: the objects that MCP defines, stored as they were sent, and the members that the registry reads.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Json;
use super::json::object;

macro_rules! definition {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name {
            pub(super) name: String,
            pub(super) title: Option<String>,
            pub(super) description: Option<String>,
            pub(super) definition: Json,
        }

        impl $name {
            /// Creates a definition that consists of a name.
            #[must_use]
            pub fn new(name: impl Into<String>) -> Self {
                Self::brief(name.into(), None, None)
            }

            fn brief(name: String, title: Option<String>, description: Option<String>) -> Self {
                let definition = object([
                    ("name", Some(Json::string(&name))),
                    ("title", title.as_deref().map(Json::string)),
                    ("description", description.as_deref().map(Json::string)),
                ]);
                Self { name, title, description, definition }
            }

            /// Returns the name, unique within the server.
            #[must_use]
            pub fn name(&self) -> &str {
                &self.name
            }

            /// Returns the display name.
            #[must_use]
            pub fn title(&self) -> Option<&str> {
                self.title.as_deref()
            }

            /// Returns the description of what it does.
            #[must_use]
            pub fn description(&self) -> Option<&str> {
                self.description.as_deref()
            }

            /// Returns the object that MCP defines. In an answer to [`View::Summary`](super::View::Summary) it has only
            /// name, title and description.
            #[must_use]
            pub fn definition(&self) -> &Json {
                &self.definition
            }

            /// Returns the definition as a summary contains it.
            pub(super) fn summary(&self) -> Self {
                Self::brief(self.name.clone(), self.title.clone(), self.description.clone())
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::new(name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.definition.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                struct Members {
                    name: String,
                    title: Option<String>,
                    description: Option<String>,
                }
                let definition = Json::deserialize(deserializer)?;
                let members = serde_json::from_str(definition.as_str()).map_err(D::Error::custom)?;
                let Members { name, title, description } = members;
                Ok(Self { name, title, description, definition })
            }
        }
    };
}

definition!(
    /// A tool, as MCP's `Tool`: unique by name within its server.
    Tool
);
definition!(
    /// A prompt, as MCP's `Prompt`: unique by name within its server.
    Prompt
);
