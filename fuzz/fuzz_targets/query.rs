//! Any query string: refused with the parameter's name, or answered. Nothing in it is syntax to SQL or full text, and a
//! cursor that comes back is taken.
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
