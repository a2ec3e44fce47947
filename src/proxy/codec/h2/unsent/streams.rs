//! How many streams of clients the process serves, and how many it refuses by a response.

use std::sync::atomic::Ordering;

use super::Process;

/// How many are refused by a response at least.
const LEAST_REFUSED: usize = 16;

/// What becomes of a stream.
pub(crate) enum Admission {
    /// It is served.
    Served(StreamPermit),
    /// It gets a response that says why not, behind which what is left of its request is read.
    Refused(RefusedStream),
    /// Too many wait behind such a response already.
    Reset,
}

/// One stream among those of the process, until dropped.
pub(crate) struct StreamPermit(&'static Process);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One stream that is refused, until dropped.
pub(crate) struct RefusedStream(&'static Process);

impl Drop for RefusedStream {
    fn drop(&mut self) {
        self.0.refused.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Process {
    /// What becomes of one more stream; the `first` of a connection is served always. One whose request has `ended`
    /// waits for nothing behind its response.
    pub(crate) fn admit(&'static self, first: bool, ended: bool) -> Admission {
        let before = self.streams.fetch_add(1, Ordering::Relaxed);
        let permit = StreamPermit(self);
        if first || before < self.most_streams {
            return Admission::Served(permit);
        }
        let before = self.refused.fetch_add(1, Ordering::Relaxed);
        let refused = RefusedStream(self);
        if ended || before < (self.most_streams / 2).max(LEAST_REFUSED) {
            Admission::Refused(refused)
        } else {
            Admission::Reset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(admission: Admission) -> Option<StreamPermit> {
        match admission {
            Admission::Served(permit) => Some(permit),
            _ => None,
        }
    }

    #[test]
    fn a_process_with_all_its_streams_leaves_each_connection_one() {
        static PROCESS: Process = Process::new(1, 1, 2);
        let one = served(PROCESS.admit(true, false));
        let two = served(PROCESS.admit(false, false));
        assert!(one.is_some() && two.is_some());
        assert!(served(PROCESS.admit(false, false)).is_none());
        assert!(served(PROCESS.admit(true, false)).is_some());
        drop(one);
        assert!(served(PROCESS.admit(false, false)).is_some());
    }

    #[test]
    fn so_many_are_refused_by_a_response_and_the_others_reset() {
        static PROCESS: Process = Process::new(1, 1, 0);
        let refused = || match PROCESS.admit(false, false) {
            Admission::Refused(refused) => Some(refused),
            _ => None,
        };
        let mut waiting: Vec<_> = (0..LEAST_REFUSED).filter_map(|_| refused()).collect();
        assert_eq!(waiting.len(), LEAST_REFUSED);
        assert!(matches!(PROCESS.admit(false, false), Admission::Reset));
        assert!(matches!(PROCESS.admit(false, true), Admission::Refused(_)));
        waiting.pop();
        assert!(refused().is_some());
        assert!(served(PROCESS.admit(true, false)).is_some());
    }
}
