//! The media type of a response.

/// Whether a `content-type` is that of server-sent events. What else answers 200 to everything has another one.
pub(crate) fn is_event_stream(content_type: &[u8]) -> bool {
    let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
    let (media_type, _) = content_type.split_at(end);
    media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
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
