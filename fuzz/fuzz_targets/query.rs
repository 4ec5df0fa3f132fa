//! Any query string is rejected with the name of the parameter, or answered. Nothing in it is interpreted as SQL or search
//! syntax, and returned cursors are accepted.
#![no_main]

mod harness;

use libfuzzer_sys::fuzz_target;
use paulina::{Error, Filter, Registration};
use url::form_urlencoded;

fuzz_target!(|query: &[u8]| {
    let filter = match Filter::from_pairs(form_urlencoded::parse(query)) {
        Ok(filter) => filter,
        Err(error) => return assert!(!error.parameter.is_empty() || query.contains(&b'='), "{error}"),
    };
    harness::with(async |registry| {
        for id in ["a", "b", "c"] {
            let server = Registration::stdio("files", ["x"]).id(id).tool("read_file").tag("t").resource("file:///{p}");
            registry.register(server).await.unwrap();
        }
        match registry.find(filter.clone()).await {
            Ok(page) => {
                if let Some(cursor) = page.next_cursor {
                    registry.find(filter.clone().after(&cursor)).await.unwrap();
                    let text = cursor.to_string();
                    Filter::from_pairs([("cursor", text.as_str())]).unwrap();
                }
            }
            Err(Error::InvalidFilter(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
        match registry.tools(filter).await {
            Ok(_) | Err(Error::InvalidFilter(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    });
});
