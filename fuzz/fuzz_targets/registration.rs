//! Any bytes as the body of a registration: refused with places that are in it, or stored and read back as accepted.
#![no_main]

mod harness;

use libfuzzer_sys::fuzz_target;
use paulina::{ParseError, Registration};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    match Registration::from_json(body) {
        Err(ParseError::Malformed(detail)) => assert!(!detail.is_empty()),
        Err(ParseError::Invalid(violations)) => {
            assert!(!violations.is_empty());
            // What is no JSON for serde_json (too deep, a lone surrogate) has no places to look for. Of a member that is there
            // twice it keeps the last one, and the registry reads the first.
            let twice = violations.iter().any(|violation| violation.detail == "is there twice");
            if let Some(body) = serde_json::from_slice::<Value>(body).ok().filter(|_| !twice) {
                for violation in violations {
                    let parent = violation.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                    assert!(body.pointer(parent).is_some(), "{violation} points nowhere");
                }
            }
        }
        Ok(registration) => harness::with(async |registry| {
            let registered = registry.register_valid(registration).await.unwrap();
            let id = &registered.server.id;
            let found = registry.get(id).await.unwrap().unwrap();
            assert_eq!(found, registered.server);
            paulina::Json::parse(&serde_json::to_string(&found).unwrap()).unwrap();
            registry.deregister(&registered).await.unwrap();
        }),
    }
});
