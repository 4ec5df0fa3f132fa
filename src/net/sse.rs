//! Server-sent events out of the bytes of an answer,
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>.

use std::collections::VecDeque;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// What kind it is: the field `event`.
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// Takes bytes as they come and gives events when they are whole.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    kind: String,
    data: Vec<String>,
    ready: VecDeque<Event>,
}

impl Events {
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.take(line);
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.take(&line);
            }
        }
        self.line.extend_from_slice(rest);
    }

    fn take(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            let data = std::mem::take(&mut self.data);
            if !data.is_empty() {
                self.ready.push_back(Event { kind, data: data.join("\n") });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => self.data.push(value.to_owned()),
            // A comment, or what the data say themselves.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_wherever_their_bytes_are_cut() {
        let text = ": alive\n\nid: e-1\nevent: snapshot\ndata: {\"a\":\"ä\"}\n\nevent:updated\r\ndata:x\r\ndata: y\r\n\r\nevent: none\n\n";
        let event = |kind: &str, data: &str| Event { kind: kind.to_owned(), data: data.to_owned() };
        let expected = [event("snapshot", "{\"a\":\"ä\"}"), event("updated", "x\ny")];
        for size in 1..=text.len() {
            let mut events = Events::default();
            text.as_bytes().chunks(size).for_each(|part| events.feed(part));
            let found: Vec<_> = std::iter::from_fn(|| events.next()).collect();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
