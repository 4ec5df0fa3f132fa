//! Any body of a registration is rejected with pointers to existing values, or stored and read back unchanged.
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
            // Pointers cannot be checked in what serde_json rejects (too deep, a lone surrogate). Of duplicate members it
            // keeps the last one, and the registry reads the first.
            let has_duplicate = violations.iter().any(|violation| violation.detail == "is given twice");
            if let Some(body) = serde_json::from_slice::<Value>(body).ok().filter(|_| !has_duplicate) {
                for violation in violations {
                    let parent = violation.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                    assert!(body.pointer(parent).is_some(), "{violation} does not point to a value");
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
