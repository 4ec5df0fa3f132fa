//! The media type in a `content-type`, RFC 9110, section 8.3.

/// Whether it is that of server-sent events. A server that answers 200 to everything sends another one.
pub(crate) fn is_event_stream(content_type: &[u8]) -> bool {
    is(content_type, b"text/event-stream")
}

/// Whether it is that of JSON.
#[cfg(feature = "server")]
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    is(content_type, b"application/json")
}

/// Parameters and case do not matter.
fn is(content_type: &[u8], expected: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(expected)
}

#[cfg(test)]
mod tests {
    use super::is_event_stream;

    #[test]
    fn parameters_and_case_do_not_matter() {
        for stream in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "text/event-stream ;x"] {
            assert!(is_event_stream(stream.as_bytes()), "{stream}");
        }
        for other in ["", "text/html", "text/event-streams", "application/json; a=text/event-stream"] {
            assert!(!is_event_stream(other.as_bytes()), "{other}");
        }
    }
}
