//! How many values a text of JSON has, counted while it arrives: what is small on the wire may be large in memory.
//! `{"a":0}` takes some 1.6 KB in a plan, 200 times its bytes.

/// Values of one review: a large pod has some thousands.
pub(super) const MOST_VALUES: usize = 50_000;

/// Counts on from one piece of the text to the next.
#[derive(Debug, Default)]
pub(super) struct Values {
    count: usize,
    in_text: bool,
    escaped: bool,
}

impl Values {
    /// Each map and list counts, and what follows a comma.
    pub(super) fn add(&mut self, piece: &[u8]) -> usize {
        for byte in piece {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b',' | b'[' | b'{' if !self.in_text => self.count += 1,
                _ => {}
            }
        }
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_value_whatever_it_has_in_it() {
        let text = br#"{"a": [1, 2, {"b\\": "[,{\"{,"}], "c": "\\", "d": {}}"#;
        for length in [1, 2, 7, text.len()] {
            let mut values = Values::default();
            let last = text.chunks(length).map(|piece| values.add(piece)).last();
            assert_eq!(last, Some(8));
        }
    }
}
