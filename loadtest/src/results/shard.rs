//! A run of which other generators carried a part: what its file says by itself, and what it does not.

use std::borrow::Cow;

use super::Results;

/// `2/4` read: which part, and of how many. None of what is no part, such as a merged run.
pub fn part(shard: &str) -> Option<(u32, u32)> {
    let (index, of) = shard.split_once('/')?;
    let (index, of) = (index.parse().ok()?, of.parse().ok()?);
    (1..=of).contains(&index).then_some((index, of))
}

impl Results {
    /// The part, where others have the rest.
    pub fn lone_shard(&self) -> Option<(u32, u32)> {
        part(&self.provenance.shard).filter(|(_, of)| *of > 1)
    }

    /// What a report may be made of. The server worked for all shards: its CPU time and what its memory grew by, divided by
    /// the operations of one of them, would be several times too much, and its bytes are not those of one.
    pub fn reportable(&self) -> Cow<'_, Self> {
        let Some((index, of)) = self.lone_shard() else {
            return Cow::Borrowed(self);
        };
        let mut own = self.clone();
        own.leave_server_out();
        own.warnings.insert(
            0,
            format!(
                "This is shard {index} of {of}: rates are its own, and the server's CPU, its counts of bytes and the memory of \
                 connections are left out, because the server worked for all {of}; `merge` the shards for them."
            ),
        );
        Cow::Owned(own)
    }

    /// Takes out what was measured of the server under load that this file does not have.
    pub(super) fn leave_server_out(&mut self) {
        for block in self.cases.iter_mut().flat_map(|case| &mut case.blocks) {
            block.server_cpu_s = None;
            block.rss_added = None;
        }
        self.checks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_of_so_many() {
        assert_eq!(part("2/4"), Some((2, 4)));
        assert_eq!(part("1/1"), Some((1, 1)));
        for none in ["0/4", "5/4", "all of 3", "2 of 3", "", "1/0"] {
            assert_eq!(part(none), None, "{none}");
        }
    }
}
