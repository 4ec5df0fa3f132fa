//! Which documents hold a word: a list, as small as can be.
//!
//! Documents come in the order of their numbers. Of each the list has the distance to the one before, as a LEB128 number
//! (<https://en.wikipedia.org/wiki/LEB128>), and the byte of its weight (see [`super::encoding`]).

use super::encoding::{number, put_number, put_weight, weight};

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

impl Postings {
    /// Adds a document, whose number is higher than all before.
    pub(super) fn push(&mut self, Posting { document, weight, is_prominent }: Posting) {
        put_number(&mut self.bytes, document.saturating_sub(self.next) as usize);
        put_weight(&mut self.bytes, weight, is_prominent);
        self.next = document + 1;
        self.count += 1;
    }

    /// How many documents there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Calls back with each document, in order. It is quicker than an iterator would be: most searches spend their time here.
    pub(super) fn each(&self, mut posting: impl FnMut(Posting)) {
        let mut rest = &self.bytes[..];
        let mut next = 0;
        while let Some(Ok(distance)) = number(&mut rest).map(u32::try_from)
            && let Some((weight, is_prominent)) = weight(&mut rest)
        {
            let document = next + distance;
            next = document + 1;
            posting(Posting { document, weight, is_prominent });
        }
    }

    /// Gives back what was reserved for growing.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
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
        let mut postings = Postings::default();
        numbers.map(posting).into_iter().for_each(|posting| postings.push(posting));
        postings.shrink();
        let mut out = Vec::new();
        postings.each(|posting| out.push(posting));
        assert_eq!(out, numbers.map(posting));
        assert_eq!((postings.len(), postings.bytes.len()), (8, 8 * 2 + 1 + 1 + 2));
    }
}
