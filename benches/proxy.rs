//! The data path behind the handshake: relayed bytes and proxied requests, client and upstream
//! in the same process. `cargo bench --bench proxy`
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::{Setup, answering, upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::client::TlsStream;

/// Bytes of one relayed message.
const MESSAGE: usize = 16 << 20;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"object\":\"x\"}\n";

/// For each byte it gets, a message.
async fn generous() -> SocketAddr {
    upstream(|mut stream| async move {
        let message = vec![7; MESSAGE];
        while stream.read_u8().await.is_ok() {
            if stream.write_all(&message).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// For each message it gets, a byte.
async fn swallowing() -> SocketAddr {
    upstream(|mut stream| async move {
        let mut message = vec![0; MESSAGE];
        while stream.read_exact(&mut message).await.is_ok() {
            if stream.write_all(b"k").await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn swap(client: &mut TlsStream<TcpStream>, sent: &[u8], received: &mut [u8]) {
    client.write_all(sent).await.unwrap();
    client.read_exact(received).await.unwrap();
}

fn relay(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut benches = c.benchmark_group("relay");
    benches
        .throughput(Throughput::Bytes(MESSAGE as u64))
        .sample_size(20);
    let mut message = vec![7; MESSAGE];
    for (name, download) in [("download", true), ("upload", false)] {
        let (_sidecar, mut client) = runtime.block_on(async {
            let app = if download {
                generous().await
            } else {
                swallowing().await
            };
            let setup = Setup::in_front_of(app).listener("protocol = \"tcp\"");
            let sidecar = setup.start();
            let client = sidecar.connect(&[]).await;
            (sidecar, client)
        });
        benches.bench_function(name, |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    if download {
                        swap(&mut client, b"g", &mut message).await;
                    } else {
                        swap(&mut client, &message, &mut [0]).await;
                    }
                });
            });
        });
    }
}

fn request(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let sidecar = runtime.block_on(async { Setup::in_front_of(answering(ANSWER).await).start() });
    let mut benches = c.benchmark_group("request");
    let mut client = runtime.block_on(sidecar.connect(&["http/1.1"]));
    let asked = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n";
    let mut answer = vec![0; ANSWER.len()];
    benches.bench_function("http1", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async { swap(&mut client, asked, &mut answer).await });
            assert!(answer.starts_with(b"HTTP/1.1 200"));
        });
    });
    let sender = runtime.block_on(sidecar.http2());
    benches.bench_function("http2", |bencher| {
        bencher.iter(|| runtime.block_on(get(&sender)));
    });
}

async fn get(sender: &h2::client::SendRequest<bytes::Bytes>) {
    let mut sender = sender.clone().ready().await.unwrap();
    let request = http::Request::get("https://localhost/v1/models")
        .body(())
        .unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let length = data.unwrap().len();
        body.flow_control().release_capacity(length).unwrap();
    }
}

criterion_group!(benches, relay, request);
criterion_main!(benches);
