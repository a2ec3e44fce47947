//! Handshakes by group: what the server computes, in memory; and the whole, over loopback.
//! The client is OpenSSL, which speaks every group. `cargo bench --bench handshake`
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "support/memory_pipe.rs"]
mod memory_pipe;
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hybridge::census::{self, Census};
use hybridge::certgen::Algorithm;
use hybridge::tls::Settings;
use hybridge::tls::handshake::{self, Session};
use hybridge::tls::hello::{ClassicalHello, ja4};
use hybridge::tls::policy::{Group, KxClass, Mode, TlsPolicy};
use hybridge::tls::reload::CredentialStore;
use hybridge::tls::server::TlsServer;
use memory_pipe::MemoryPipe;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslVerifyMode};
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
        spiffe: None,
        spiffe_hint: None,
        profile: hybridge::tls::policy::Profile::Off,
    };
    let certificates: Arc<dyn ResolvesServerCert> = store;
    let server = TlsServer::new(&settings, &certificates, None, &[]).unwrap();
    server.warm_up();
    server
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
        support::traffic_counters(),
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

/// What a classical handshake costs more with a census: the fingerprint of its hello, and its place in a
/// full sketch. A hybrid one costs a counter. To be compared with `handshake_compute`.
fn census(c: &mut Criterion) {
    let records = support::hello::classical();
    let now = Instant::now();
    let settings = census::Settings {
        size: 256,
        addresses: census::Addresses::Prefix,
        window: Duration::from_hours(1),
    };
    let census = Census::new(settings, now);
    let hello = ClassicalHello {
        ja4: ja4(&records).unwrap(),
        server_name: Some("localhost".into()),
    };
    let mut next = 0_u32;
    let mut somebody = move || {
        next = next.wrapping_add(0x9e37_79b9);
        Ipv4Addr::from_bits(next).into()
    };
    for _ in 0..10_000 {
        census.served(now, somebody(), Some(&hello), None);
    }
    let mut benches = c.benchmark_group("census");
    benches.bench_function("ja4", |bencher| bencher.iter(|| ja4(black_box(&records))));
    benches.bench_function("classical", |bencher| {
        bencher.iter(|| census.served(now, somebody(), Some(&hello), None));
    });
    benches.bench_function("hybrid", |bencher| {
        bencher.iter(|| census.served(now, black_box(Ipv4Addr::LOCALHOST.into()), None, None));
    });
}

criterion_group!(benches, computing, over_loopback, census);
criterion_main!(benches);
