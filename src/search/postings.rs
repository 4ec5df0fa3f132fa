//! Which documents hold a word: a list, as small as can be.
//!
//! Documents come in the order of their numbers. Of each the list has the distance to the one before, as a LEB128 number
//! (<https://en.wikipedia.org/wiki/LEB128>), and a byte: in its highest bit whether the word is prominent there, in the others
//! its weight.

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Postings {
    bytes: Vec<u8>,
    /// The number after that of the last document.
    next: u32,
    count: u32,
}

/// A document that holds a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) document: u32,
    pub(super) weight: u8,
    pub(super) is_prominent: bool,
}

const PROMINENT: u8 = 0x80;

impl Postings {
    /// Adds a document, whose number is higher than all before.
    pub(super) fn push(&mut self, Posting { document, weight, is_prominent }: Posting) {
        let mut distance = document.saturating_sub(self.next);
        loop {
            let low = u8::try_from(distance & 0x7F).unwrap_or_default();
            distance >>= 7;
            self.bytes.push(if distance > 0 { low | 0x80 } else { low });
            if distance == 0 {
                break;
            }
        }
        self.bytes.push(weight & !PROMINENT | if is_prominent { PROMINENT } else { 0 });
        self.next = document + 1;
        self.count += 1;
    }

    /// How many documents there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// The documents, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Posting> {
        let mut bytes = self.bytes.iter().copied();
        let mut next = 0;
        std::iter::from_fn(move || {
            let (mut distance, mut shift) = (0, 0);
            loop {
                let byte = bytes.next()?;
                distance |= u32::from(byte & 0x7F) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let byte = bytes.next()?;
            let document = next + distance;
            next = document + 1;
            Some(Posting { document, weight: byte & !PROMINENT, is_prominent: byte & PROMINENT != 0 })
        })
    }

    /// Gives back what was reserved for growing.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

impl FromIterator<Posting> for Postings {
    fn from_iter<I: IntoIterator<Item = Posting>>(all: I) -> Self {
        let mut postings = Self::default();
        all.into_iter().for_each(|posting| postings.push(posting));
        postings.shrink();
        postings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let numbers = [0, 1, 2, 129, 130, 16_514, 2_200_000, 2_200_001];
        let posting =
            |document: u32| Posting { document, weight: 127, is_prominent: document.is_multiple_of(2) };
        let postings: Postings = numbers.into_iter().map(posting).collect();
        assert!(postings.iter().eq(numbers.into_iter().map(posting)));
        assert_eq!((postings.len(), postings.bytes.len()), (8, 8 * 2 + 1 + 1 + 2));
    }
}
