//! The pair in use, and an agent's pair that is out of use because its time was over. A clock that was ahead is
//! corrected, and then that pair counts again: an agent does not give it twice.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::tls::credentials::Credentials;

/// What the clock made of a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turned {
    /// Out of use: it ended then, unix seconds.
    Ended(i64),
    /// In use again, until then.
    Restored(i64),
}

/// Empty until there has been a usable pair.
#[derive(Debug)]
pub(super) struct InUse {
    pair: ArcSwapOption<Credentials>,
    ended: ArcSwapOption<Credentials>,
}

impl InUse {
    pub(super) fn new(pair: Option<Credentials>) -> Self {
        Self {
            pair: ArcSwapOption::new(pair.map(Arc::new)),
            ended: ArcSwapOption::empty(),
        }
    }

    /// Begins with what another has.
    pub(super) fn go_on_with(&self, before: &Self) {
        self.pair.store(before.get());
        self.ended.store(before.ended.load_full());
    }

    pub(super) fn set(&self, pair: Credentials) {
        self.pair.store(Some(Arc::new(pair)));
        self.ended.store(None);
    }

    pub(super) fn get(&self) -> Option<Arc<Credentials>> {
        self.pair.load_full()
    }

    pub(super) fn load(&self) -> Guard<Option<Arc<Credentials>>> {
        self.pair.load()
    }

    /// The pair that is out of use.
    pub(super) fn ended(&self) -> Option<Arc<Credentials>> {
        self.ended.load_full()
    }

    /// Takes a pair out of use that has ended, and puts one back that has not.
    pub(super) fn turn(&self, now: i64) -> Option<Turned> {
        let over = |pair: &Arc<Credentials>| pair.facts().not_after < now;
        if let Some(pair) = self.get() {
            let not_after = pair.facts().not_after;
            return over(&pair).then(|| {
                self.ended.store(Some(pair));
                self.pair.store(None);
                Turned::Ended(not_after)
            });
        }
        let pair = self.ended().filter(|pair| !over(pair))?;
        let not_after = pair.facts().not_after;
        self.pair.store(Some(pair));
        self.ended.store(None);
        Some(Turned::Restored(not_after))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;
    use std::time::SystemTime;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::tls::credentials::PairText;

    fn pair() -> Credentials {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let text = PairText {
            cert: params.self_signed(&key).unwrap().pem().into_bytes().into(),
            key: key.serialize_pem().into_bytes().into(),
        };
        let me = Path::new("me");
        Credentials::from_text(me, me, &text, SystemTime::now()).unwrap()
    }

    #[test]
    fn a_pair_that_a_wrong_clock_ended_counts_again() {
        let in_use = InUse::new(Some(pair()));
        let end = in_use.get().unwrap().facts().not_after;
        assert_eq!(in_use.turn(end), None);
        assert_eq!(in_use.turn(end + 1), Some(Turned::Ended(end)));
        assert!(in_use.get().is_none() && in_use.load().is_none());
        assert_eq!(in_use.turn(end + 2), None, "said once");
        assert_eq!(in_use.turn(end), Some(Turned::Restored(end)));
        assert!(in_use.get().is_some() && in_use.ended().is_none());
        // The next one takes the place of both.
        in_use.turn(end + 1);
        in_use.set(pair());
        assert!(in_use.get().is_some() && in_use.ended().is_none());
    }
}
