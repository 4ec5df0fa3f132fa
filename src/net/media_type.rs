//! Media types in `content-type` headers, RFC 9110, section 8.3.

/// Returns whether it is the media type of server-sent events, which a server that answers 200 to everything does not send.
pub(crate) fn is_event_stream(content_type: &[u8]) -> bool {
    is(content_type, b"text/event-stream")
}

/// Returns whether it is the media type of JSON.
#[cfg(feature = "server")]
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    is(content_type, b"application/json")
}

/// Compares media types without case and parameters.
fn is(content_type: &[u8], expected: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(expected)
}

#[cfg(test)]
mod tests {
    use super::is_event_stream;

    #[test]
    fn parameters_and_case_are_ignored() {
        for stream in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "text/event-stream ;x"] {
            assert!(is_event_stream(stream.as_bytes()), "{stream}");
        }
        for other in ["", "text/html", "text/event-streams", "application/json; a=text/event-stream"] {
            assert!(!is_event_stream(other.as_bytes()), "{other}");
        }
    }
}
