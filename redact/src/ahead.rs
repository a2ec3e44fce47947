//! Looking ahead in a text from one place after the other. A text of somebody else may have thousands of places,
//! and must not be looked through to its end from each.

use std::ops::Range;

/// The next character of a kind, from places that only go up: together they cost one pass.
pub(super) struct Ahead<'a, F> {
    text: &'a str,
    is_wanted: F,
    /// Where the next one is, as long as no place beyond it was asked for.
    found: Option<usize>,
}

impl<'a, F: Fn(char) -> bool> Ahead<'a, F> {
    pub(super) fn new(text: &'a str, is_wanted: F) -> Self {
        Self {
            text,
            is_wanted,
            found: None,
        }
    }

    /// Where it is from `at` on; the text's end if there is none.
    pub(super) fn from(&mut self, at: usize) -> usize {
        if let Some(found) = self.found.filter(|found| *found >= at) {
            return found;
        }
        let behind = self.text[at..].find(&self.is_wanted);
        let found = behind.map_or(self.text.len(), |behind| at + behind);
        self.found = Some(found);
        found
    }
}

/// The last `@` of a piece, looked for once although the piece is asked about from each scheme in it.
#[derive(Default)]
pub(super) struct Last {
    end: Option<usize>,
    at: Option<usize>,
}

impl Last {
    pub(super) fn at(&mut self, text: &str, piece: &Range<usize>) -> Option<usize> {
        if self.end != Some(piece.end) {
            self.end = Some(piece.end);
            self.at = text[piece.clone()].rfind('@').map(|at| piece.start + at);
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_text_is_looked_through_once() {
        let text = "://".repeat(1_000) + "a" + &"://".repeat(1_000);
        let looked = Cell::new(0);
        let mut ahead = Ahead::new(&text, |c| {
            looked.set(looked.get() + 1);
            c == 'a'
        });
        for at in 0..text.len() {
            let expected = if at <= 3_000 { 3_000 } else { text.len() };
            assert_eq!(ahead.from(at), expected);
        }
        assert_eq!(looked.get(), text.len());
    }
}
