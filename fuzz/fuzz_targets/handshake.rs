//! The handshake driver with whatever a client may send: records of any kind and cut, several messages
//! in one record, errors behind messages that have begun. It must end, without a panic, and say so by
//! an alert wherever one is due.
#![no_main]

use std::sync::LazyLock;

use hybridge::io::TrafficCounters;
use hybridge::tls::fuzzing::{counters, handshake, server};
use hybridge::tls::server::TlsServer;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static SERVER: LazyLock<TlsServer> = LazyLock::new(server);
static COUNTERS: LazyLock<TrafficCounters> = LazyLock::new(counters);
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime needs nothing but memory")
});

fuzz_target!(|input: &[u8]| {
    let Some((piece, sends)) = input.split_first() else {
        return;
    };
    let piece = usize::from(*piece) * 8;
    RUNTIME.block_on(handshake(&SERVER, COUNTERS.clone(), sends, piece));
});
