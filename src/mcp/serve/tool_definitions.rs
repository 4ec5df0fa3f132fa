//! The tools, as they are listed: `tools.json`.

use std::sync::LazyLock;

use rmcp::model::Tool;
use serde::Deserialize;

/// All of them.
#[derive(Default, Deserialize)]
pub(super) struct Definitions {
    /// What everybody may use who may read.
    pub(super) reading: Vec<Tool>,
    /// What those may use as well who may register.
    pub(super) writing: Vec<Tool>,
}

pub(super) static ALL: LazyLock<Definitions> =
    LazyLock::new(|| serde_json::from_str(include_str!("tools.json")).unwrap_or_default());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::serve::read_tools::{FEW_SERVERS, FEW_TOOLS, MOST_SERVERS, MOST_TOOLS};

    #[test]
    fn say_what_the_tools_take() {
        let names = |tools: &[Tool]| tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&ALL.reading), ["find_servers", "find_tools", "get_server", "registry_status"]);
        assert_eq!(names(&ALL.writing), ["register_server", "deregister_server"]);
        for (tool, most, few) in
            [(&ALL.reading[0], MOST_SERVERS, FEW_SERVERS), (&ALL.reading[1], MOST_TOOLS, FEW_TOOLS)]
        {
            let limit = &tool.input_schema["properties"]["limit"];
            assert_eq!((&limit["maximum"], &limit["default"]), (&most.into(), &few.into()), "{}", tool.name);
        }
        for tool in ALL.reading.iter().chain(&ALL.writing) {
            assert!(tool.title.is_some() && tool.output_schema.is_some() && tool.annotations.is_some());
        }
    }
}
