//! A parser for server-sent events,
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>.

use std::collections::VecDeque;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct SseEvent {
    /// The field `event`; empty if there is none.
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// Takes bytes as they arrive and returns complete events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    is_after_first_line: bool,
    is_after_cr: bool,
    kind: String,
    data: Vec<String>,
    ready: VecDeque<SseEvent>,
}

impl Events {
    pub(crate) fn next(&mut self) -> Option<SseEvent> {
        self.ready.pop_front()
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.is_after_cr {
            // A CR ended the line in the chunk before: its LF does not end another one.
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        if let Some(last) = bytes.last() {
            self.is_after_cr = *last == b'\r';
        }
        while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
            let (line, terminated) = rest.split_at(end);
            rest = terminated.strip_prefix(b"\r\n").or_else(|| terminated.get(1..)).unwrap_or_default();
            if self.line.is_empty() {
                self.take_line(line);
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.take_line(&line);
            }
        }
        self.line.extend_from_slice(rest);
    }

    fn take_line(&mut self, mut line: &[u8]) {
        if !self.is_after_first_line {
            self.is_after_first_line = true;
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            let data = std::mem::take(&mut self.data);
            if !data.is_empty() {
                self.ready.push_back(SseEvent { kind, data: data.join("\n") });
            }
            return;
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&*line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => self.data.push(value.to_owned()),
            // Comments and all other fields are ignored: the data contain the revision that `id` repeats.
            _ => {}
        }
    }
}

/// The test vectors that the Rust, Python and TypeScript clients share.
#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{Events, SseEvent};
    use crate::net::media_type::is_event_stream;

    #[derive(Deserialize)]
    struct Vectors {
        events: Vec<Case>,
        content_types: Vec<ContentType>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        chunks: Vec<Chunk>,
        events: Vec<SseEvent>,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Chunk {
        Text(String),
        Bytes { hex: String },
    }

    #[derive(Deserialize)]
    struct ContentType {
        content_type: String,
        is_event_stream: bool,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/vectors/sse.json")).unwrap()
    }

    fn bytes(chunk: &Chunk) -> Vec<u8> {
        match chunk {
            Chunk::Text(text) => text.clone().into_bytes(),
            Chunk::Bytes { hex } => {
                let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
                digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
            }
        }
    }

    fn parsed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<SseEvent> {
        let mut events = Events::default();
        chunks.into_iter().for_each(|chunk| events.feed(chunk));
        std::iter::from_fn(|| events.next()).collect()
    }

    #[test]
    fn events_are_the_same_in_chunks_of_every_size() {
        for Case { name, chunks, events } in vectors().events {
            let chunks: Vec<_> = chunks.iter().map(bytes).collect();
            assert_eq!(parsed(chunks.iter().map(Vec::as_slice)), events, "{name}");
            let stream = chunks.concat();
            for size in 1..=stream.len() {
                assert_eq!(parsed(stream.chunks(size)), events, "{name}, in chunks of {size}");
            }
        }
    }

    #[test]
    fn a_content_type_shows_whether_events_follow() {
        for ContentType { content_type, is_event_stream: expected } in vectors().content_types {
            assert_eq!(is_event_stream(content_type.as_bytes()), expected, "{content_type:?}");
        }
    }
}
