//! What signed responses cost: the two signatures alone, a short response, and the time to the first token of a
//! stream, each with signing off and on. `cargo bench --bench signing`
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use criterion::{Criterion, criterion_group, criterion_main};
use support::{Setup, Sidecar, answering, read_head, upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::client::TlsStream;

const SHORT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"object\":\"x\"}\n";
const FIRST: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
const LAST: &[u8] = b"0\r\n\r\n";
const ASKED: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n";

struct Keys {
    classical: EcdsaKeyPair,
    ml_dsa: PqdsaKeyPair,
}

impl Keys {
    fn new() -> Self {
        Self {
            classical: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ml_dsa: PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap(),
        }
    }

    fn write(&self, directory: &Path) {
        let write = |name: &str, der: &[u8]| {
            let text = BASE64_STANDARD.encode(der);
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            std::fs::write(directory.join(name), pem).unwrap();
        };
        write("ec.key", self.classical.to_pkcs8v1().unwrap().as_ref());
        write("mldsa.key", self.ml_dsa.to_pkcs8v1().unwrap().as_ref());
    }

    fn sign(&self, message: &[u8]) -> usize {
        let mut signature = vec![0; ML_DSA_65_SIGNING.signature_len()];
        let classical = self.classical.sign(&SystemRandom::new(), message);
        let length = self.ml_dsa.sign(message, &mut signature).unwrap();
        classical.unwrap().as_ref().len() + length
    }
}

/// An app that streams: the end comes some time after the first token.
async fn streaming() -> std::net::SocketAddr {
    upstream(|mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            if stream.write_all(FIRST).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            if stream.write_all(LAST).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Reads until the bytes say that it is enough.
async fn read_until(
    client: &mut TlsStream<TcpStream>,
    seen: &mut Vec<u8>,
    enough: impl Fn(&[u8]) -> bool,
) {
    let mut buf = vec![0; 16 << 10];
    while !enough(seen) {
        let count = client.read(&mut buf).await.unwrap();
        assert!(count > 0, "closed");
        seen.extend_from_slice(&buf[..count]);
    }
}

fn holds(seen: &[u8], part: &[u8]) -> bool {
    seen.windows(part.len()).any(|window| window == part)
}

/// From the request to its first token.
async fn first_token(client: &mut TlsStream<TcpStream>) -> Duration {
    let begin = Instant::now();
    client.write_all(ASKED).await.unwrap();
    let mut seen = Vec::new();
    read_until(client, &mut seen, |seen| holds(seen, b"data: 1\n\n")).await;
    let took = begin.elapsed();
    let ended = |seen: &[u8]| holds(seen, b"\r\n0\r\n") && seen.ends_with(b"\r\n\r\n");
    read_until(client, &mut seen, ended).await;
    took
}

/// From the request to the end of its short response.
async fn short(client: &mut TlsStream<TcpStream>) -> Duration {
    let begin = Instant::now();
    client.write_all(ASKED).await.unwrap();
    let mut seen = Vec::new();
    read_until(client, &mut seen, |seen| {
        seen.ends_with(b"{\"object\":\"x\"}\n")
    })
    .await;
    begin.elapsed()
}

async fn sidecar(app: std::net::SocketAddr, section: &str) -> (Sidecar, TlsStream<TcpStream>) {
    let sidecar = Setup::in_front_of(app).listener(section).start();
    let client = sidecar.connect(&["http/1.1"]).await;
    (sidecar, client)
}

/// Off and on in one run, a request of each in turn: what slows the machine down slows both.
fn compared(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let keys = Keys::new();
    let directory = tempfile::tempdir().unwrap();
    keys.write(directory.path());
    let on = format!(
        "[listener.signature]\nresponses = \"{}\"\n",
        directory.path().display()
    );
    let message = vec![b'x'; 600];
    c.bench_function("signature/both", |bencher| {
        bencher.iter(|| keys.sign(&message));
    });
    for (name, is_stream) in [("first-token", true), ("short-response", false)] {
        let (_off, mut plain, _on, mut signed) = runtime.block_on(async {
            let app = if is_stream {
                streaming().await
            } else {
                answering(SHORT).await
            };
            let (off, plain) = sidecar(app, "").await;
            let (on, signed) = sidecar(app, &on).await;
            (off, plain, on, signed)
        });
        let mut benches = c.benchmark_group(name);
        benches.sample_size(50);
        for measured in ["off", "on"] {
            benches.bench_function(measured, |bencher| {
                bencher.iter_custom(|times| {
                    runtime.block_on(async {
                        let mut took = Duration::ZERO;
                        for _ in 0..times {
                            for (which, client) in [("off", &mut plain), ("on", &mut signed)] {
                                let one = if is_stream {
                                    first_token(client).await
                                } else {
                                    short(client).await
                                };
                                took += if which == measured {
                                    one
                                } else {
                                    Duration::ZERO
                                };
                            }
                        }
                        took
                    })
                });
            });
        }
    }
}

criterion_group!(benches, compared);
criterion_main!(benches);
