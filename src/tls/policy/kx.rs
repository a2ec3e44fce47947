//! The key exchanges themselves, each with its time measured.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::kx_group as stock;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, ProtocolVersion};

pub(crate) static X25519_MLKEM768: Timed = Timed(stock::X25519MLKEM768);
pub(crate) static SECP256R1_MLKEM768: Timed = Timed(stock::SECP256R1MLKEM768);
pub(crate) static SECP384R1_MLKEM1024: Timed = Timed(hybridge_groups::SECP384R1_MLKEM1024);
pub(crate) static MLKEM1024: Timed = Timed(stock::MLKEM1024);
pub(crate) static X25519: Timed = Timed(stock::X25519);
pub(crate) static SECP256R1: Timed = Timed(stock::SECP256R1);
pub(crate) static SECP384R1: Timed = Timed(stock::SECP384R1);

thread_local! {
    static SPENT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Time spent in key exchanges on this thread since the last call; drains the account.
pub(crate) fn take_elapsed() -> Duration {
    SPENT.take()
}

fn timed<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    SPENT.set(SPENT.get() + start.elapsed());
    result
}

/// A group whose operations add their time to the thread's account.
#[derive(Debug)]
pub(crate) struct Timed(&'static dyn SupportedKxGroup);

impl SupportedKxGroup for Timed {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let active = timed(|| self.0.start())?;
        Ok(Box::new(TimedActive(active)))
    }

    fn start_and_complete(&self, peer_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        timed(|| self.0.start_and_complete(peer_share))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        self.0.ffdhe_group()
    }

    fn name(&self) -> NamedGroup {
        self.0.name()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        self.0.usable_for_version(version)
    }
}

/// The client's side between its share and the server's.
struct TimedActive(Box<dyn ActiveKeyExchange>);

impl ActiveKeyExchange for TimedActive {
    fn complete(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        timed(|| self.0.complete(server_share))
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        self.0.hybrid_component()
    }

    fn complete_hybrid_component(
        self: Box<Self>,
        server_share: &[u8],
    ) -> Result<SharedSecret, Error> {
        timed(|| self.0.complete_hybrid_component(server_share))
    }

    fn pub_key(&self) -> &[u8] {
        self.0.pub_key()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        self.0.ffdhe_group()
    }

    fn group(&self) -> NamedGroup {
        self.0.group()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn time_in_a_key_exchange_is_accounted_once() {
        take_elapsed();
        let client = X25519.start().unwrap();
        assert!(take_elapsed() > Duration::ZERO);
        assert_eq!(take_elapsed(), Duration::ZERO);
        drop(client);
    }
}
