//! What a vectored write gives, cut into pieces of a record's size without a copy where that goes.

/// Pieces of plaintext, taken from the front.
pub(super) struct IoVecCursor<'a, I>(I, &'a [u8]);

impl<'a, I: Iterator<Item = &'a [u8]>> IoVecCursor<'a, I> {
    pub(super) fn new(pieces: I) -> Self {
        Self(pieces, &[])
    }

    /// A piece that fills `most` bytes by itself.
    pub(super) fn whole(&mut self, most: usize) -> Option<&'a [u8]> {
        if self.1.is_empty() {
            self.1 = self.0.next()?;
        }
        let (now, later) = self.1.split_at_checked(most)?;
        self.1 = later;
        Some(now)
    }

    /// Fills as much of `room` as there are bytes for.
    pub(super) fn fill(&mut self, room: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < room.len() {
            if self.1.is_empty() {
                match self.0.next() {
                    Some(next) => self.1 = next,
                    None => break,
                }
            }
            let count = self.1.len().min(room.len() - filled);
            let (now, later) = self.1.split_at(count);
            room[filled..filled + count].copy_from_slice(now);
            filled += count;
            self.1 = later;
        }
        filled
    }
}
