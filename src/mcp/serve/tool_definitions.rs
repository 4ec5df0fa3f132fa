//! The definitions of the tools, from `tools.json`.

use std::sync::LazyLock;

use rmcp::model::Tool;
use serde::Deserialize;

/// All tool definitions.
#[derive(Default, Deserialize)]
pub(super) struct Definitions {
    /// Tools for clients that may read.
    pub(super) reading: Vec<Tool>,
    /// Additional tools for clients that may register.
    pub(super) writing: Vec<Tool>,
}

pub(super) static ALL: LazyLock<Definitions> =
    LazyLock::new(|| serde_json::from_str(include_str!("tools.json")).unwrap_or_default());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::serve::read_tools::{DEFAULT_SERVERS, DEFAULT_TOOLS, MAX_SERVERS, MAX_TOOLS};

    #[test]
    fn the_definitions_match_the_tools() {
        let names = |tools: &[Tool]| tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&ALL.reading), ["find_servers", "find_tools", "get_server", "registry_status"]);
        assert_eq!(names(&ALL.writing), ["register_server", "deregister_server"]);
        for (tool, maximum, default) in
            [(&ALL.reading[0], MAX_SERVERS, DEFAULT_SERVERS), (&ALL.reading[1], MAX_TOOLS, DEFAULT_TOOLS)]
        {
            let limit = &tool.input_schema["properties"]["limit"];
            assert_eq!(
                (&limit["maximum"], &limit["default"]),
                (&maximum.into(), &default.into()),
                "{}",
                tool.name
            );
        }
        for tool in ALL.reading.iter().chain(&ALL.writing) {
            assert!(tool.title.is_some() && tool.output_schema.is_some() && tool.annotations.is_some());
        }
    }
}
