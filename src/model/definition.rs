//! Tools and prompts: the object that MCP defines, kept as it came, with what the registry reads of it beside.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Json;
use super::capabilities::Brief;

/// The members of a definition in their order, as text.
pub(super) fn object(members: &[(&str, Option<Json>)]) -> Json {
    let present = members.iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value)));
    let text: Vec<String> = present.map(|(key, value)| format!("{}:{}", Json::string(key), value)).collect();
    let text = format!("{{{}}}", text.join(","));
    Json::parse(&text).unwrap_or_else(|_| Json::from(serde_json::Value::Null))
}

macro_rules! definition {
    ($(#[$doc:meta])* $name:ident, $parse:path, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name {
            pub(super) name: String,
            pub(super) title: Option<String>,
            pub(super) description: Option<String>,
            pub(super) definition: Option<Json>,
        }

        impl $name {
            /// One with a name and nothing else.
            #[must_use]
            pub fn new(name: impl Into<String>) -> Self {
                Self { name: name.into(), title: None, description: None, definition: None }
            }

            /// One from the object that MCP defines; everything in it is kept.
            ///
            /// # Errors
            /// When a member that the registry reads (`name`, `title`, `description`) is missing or not a string.
            ///
            /// ```
            #[doc = concat!("use paulina::", stringify!($name), ";")]
            #[doc = concat!("let it = ", stringify!($name), "::from_json(serde_json::json!(", $example, "))?;")]
            /// assert!(it.definition().as_str().contains("x-note"));
            /// # Ok::<(), paulina::ParseError>(())
            /// ```
            pub fn from_json(definition: impl Into<Json>) -> Result<Self, super::ParseError> {
                super::parse::single(&definition.into(), $parse)
            }

            /// What it is called; unique within its server.
            #[must_use]
            pub fn name(&self) -> &str {
                &self.name
            }

            /// Its name for people.
            #[must_use]
            pub fn title(&self) -> Option<&str> {
                self.title.as_deref()
            }

            /// What it does.
            #[must_use]
            pub fn description(&self) -> Option<&str> {
                self.description.as_deref()
            }

            /// The object that MCP defines. In an answer to [`View::Summary`](super::View::Summary) it holds name,
            /// title and description alone.
            #[must_use]
            pub fn definition(&self) -> Json {
                self.definition.clone().unwrap_or_else(|| {
                    object(&[
                        ("name", Some(Json::string(&self.name))),
                        ("title", self.title.as_deref().map(Json::string)),
                        ("description", self.description.as_deref().map(Json::string)),
                    ])
                })
            }

            pub(crate) fn from_parts(
                (name, title, description): (String, Option<String>, Option<String>),
                definition: Option<Json>,
            ) -> Self {
                Self { name, title, description, definition }
            }

            /// The same with its definition spelled out, as it is stored.
            pub(super) fn complete(mut self) -> Self {
                if self.definition.is_none() {
                    self.definition = Some(self.definition());
                }
                self
            }

            /// The definition of one that is [complete](Self::complete).
            pub(crate) fn stored(&self) -> Option<&str> {
                self.definition.as_ref().map(Json::as_str)
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
                match &self.definition {
                    Some(definition) => definition.serialize(serializer),
                    None => Brief(self).serialize(serializer),
                }
            }
        }

        impl Serialize for Brief<'_, $name> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $name { name, title, description, .. } = self.0;
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("name", name)?;
                if let Some(title) = title {
                    map.serialize_entry("title", title)?;
                }
                if let Some(description) = description {
                    map.serialize_entry("description", description)?;
                }
                map.end()
            }
        }
    };
}

definition!(
    /// A tool, as MCP's `Tool`: unique by name within its server.
    Tool,
    super::parse::tool,
    r#"{"name": "read_file", "inputSchema": {"type": "object"}, "x-note": 1}"#
);
definition!(
    /// A prompt, as MCP's `Prompt`: unique by name within its server.
    Prompt,
    super::parse::prompt,
    r#"{"name": "summarise", "arguments": [{"name": "text"}], "x-note": 1}"#
);
