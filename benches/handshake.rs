//! Handshakes by group: what the server computes, in memory; and the whole, over loopback.
//! The client is OpenSSL, which speaks every group. `cargo bench --bench handshake`
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "support/memory_pipe.rs"]
mod memory_pipe;
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hybridge::certgen::Algorithm;
use hybridge::io::TrafficCounters;
use hybridge::tls::Settings;
use hybridge::tls::handshake::{self, Session};
use hybridge::tls::policy::{Group, KxClass, Mode, TlsPolicy};
use hybridge::tls::reload::CredentialStore;
use hybridge::tls::server::TlsServer;
use memory_pipe::MemoryPipe;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslVerifyMode};
use prometheus::IntCounter;
use rustls::server::ResolvesServerCert;
use support::Setup;
use support::pki::TestPki;

/// A policy under which nothing but `group` is negotiated.
fn mode_for(group: Group) -> Mode {
    match group.class() {
        KxClass::Hybrid => Mode::HybridRequired,
        KxClass::Pure => Mode::PqRequired,
        KxClass::Classical => Mode::ClassicalOnly,
    }
}

fn connector(group: Group) -> SslConnector {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_groups_list(group.name()).unwrap();
    builder.build()
}

fn server(group: Group) -> TlsServer {
    let dir = tempfile::tempdir().unwrap();
    let files = TestPki::new(Algorithm::EcdsaP256)
        .leaf(&["localhost"])
        .write_to(dir.path());
    let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
    let settings = Settings {
        policy: TlsPolicy::new(mode_for(group), Some(&[group]), None).unwrap(),
        cert: files.cert,
        key: files.key,
        certificates: hybridge::tls::certificates::Settings::default(),
        wait_for_certificate: false,
        handshake_timeout: Duration::from_secs(10),
        max_handshakes: 1,
        handshake_rate_per_source: None,
        tickets: 1,
        ticket_keys: None,
        client_auth: None,
    };
    let certificates: Arc<dyn ResolvesServerCert> = store;
    let server = TlsServer::new(&settings, &certificates, None, &[]).unwrap();
    server.warm_up();
    server
}

fn counters() -> TrafficCounters {
    let counter = || IntCounter::new("bytes", "bytes").unwrap();
    TrafficCounters {
        wire_in: counter(),
        wire_out: counter(),
        payload_in: counter(),
        payload_out: counter(),
    }
}

/// One handshake in memory, client and server by turns on this thread.
async fn in_memory(server: &TlsServer, connector: &SslConnector) -> Session {
    let (near, far) = MemoryPipe::pair();
    let queue = server.queue(1, Arc::new(|| {}));
    let mut accepting = Box::pin(handshake::accept(
        far,
        handshake::Client::new([127, 0, 0, 1].into()),
        server,
        &queue,
        counters(),
    ));
    let ssl = connector.configure().unwrap();
    let mut connecting = ssl.connect("localhost", near);
    loop {
        let turn = std::future::poll_fn(|cx| std::task::Poll::Ready(accepting.as_mut().poll(cx)));
        if let std::task::Poll::Ready(accepted) = turn.await {
            return accepted.expect("the handshake completes").1;
        }
        connecting = match connecting {
            Err(HandshakeError::WouldBlock(middle)) => middle.handshake(),
            other => other,
        };
    }
}

fn computing(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut benches = c.benchmark_group("handshake_compute");
    for group in Group::ALL {
        let (server, connector) = (server(group), connector(group));
        benches.bench_function(BenchmarkId::from_parameter(group), |bencher| {
            bencher.iter_custom(|times| {
                // Never yields to the runtime, which would otherwise stop it by its budget.
                runtime.block_on(tokio::task::unconstrained(async {
                    let mut spent = Duration::ZERO;
                    for _ in 0..times {
                        let session = in_memory(&server, &connector).await;
                        assert_eq!(session.group, group);
                        spent += session.cost.compute;
                    }
                    spent
                }))
            });
        });
    }
}

fn over_loopback(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(support::answering(b""));
    let mut benches = c.benchmark_group("handshake_loopback");
    for group in Group::ALL {
        let policy = mode_for(group).name();
        let setup =
            Setup::in_front_of(app).tls(&format!("policy = \"{policy}\"\ngroups = [\"{group}\"]"));
        let sidecar = runtime.block_on(async { setup.start() });
        let connector = connector(group);
        benches.bench_function(BenchmarkId::from_parameter(group), |bencher| {
            bencher.iter(|| {
                let stream = std::net::TcpStream::connect(sidecar.address).unwrap();
                stream.set_nodelay(true).unwrap();
                connector.connect("localhost", stream).unwrap()
            });
        });
    }
}

criterion_group!(benches, computing, over_loopback);
criterion_main!(benches);
