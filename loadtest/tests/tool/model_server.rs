//! A real model server has no `/blob`, no `/sink` and promises no interval between tokens: what it has is measured, what
//! it lacks is named, and it is not said to have stopped answering.

use std::io;
use std::path::Path;
use std::process::Output;

use crate::support::Pki;
use crate::support::program::{assert_told, tool};
use hybridge_loadtest::http::h1::H1;
use hybridge_loadtest::net::stream::Stream;
use hybridge_loadtest::results::file;
use hybridge_loadtest::tls::Group;
use rustls::ServerConnection;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// As llama.cpp and vLLM answer: models, streamed completions that may end early, 404 for the rest. With
/// `failing`, completions are refused after the first three.
async fn serve(pki: &Pki, failing: bool) -> SocketAddr {
    let config = pki.server(&[Group::X25519MLKEM768, Group::X25519]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            peer.set_nodelay(true).unwrap();
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let stream = Stream::handshake(peer, connection.into(), Arc::default()).await?;
                let mut h1 = H1::new(stream);
                while let Some(head) = h1.head(true).await? {
                    h1.drain(head.body).await?;
                    let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    answer(&mut h1, &head.target, failing && number > 12).await?;
                }
                io::Result::Ok(())
            });
        }
    });
    address
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    h1: &mut H1<S>,
    path: &str,
    refuse: bool,
) -> io::Result<()> {
    let text = match path {
        "/v1/models" => {
            let body = "{\"data\":[{\"id\":\"llama-3\"}]}";
            format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        "/v1/chat/completions" if !refuse => {
            let token = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
            let body = format!("{token}{token}{token}data: [DONE]\n\n");
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    h1.send(text.as_bytes(), 0).await
}

fn compare(folder: &Path, pki: &Pki, server: SocketAddr, more: &[&str]) -> Output {
    std::fs::write(folder.join("ca.crt"), &pki.ca_pem).unwrap();
    let url = format!("https://{server}");
    let mut arguments = vec![
        "compare",
        "--quick",
        "--hybrid",
        &url,
        "--ca",
        "ca.crt",
        "--server-name",
        "localhost",
        "--rounds",
        "2",
        "--block",
        "20ms",
        "--connections",
        "1",
        "--rtt",
        "0",
        "--out",
        "out",
    ];
    arguments.extend(more);
    tool(folder, &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_server_has_is_measured_and_the_rest_is_named() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&pki, false).await;
    let scenarios = "full-handshake,h1-keepalive,token-stream,upload,download,grpc-unary";
    let output = compare(folder.path(), &pki, server, &["--scenario", scenarios]);
    assert_told(
        &output,
        0,
        &[
            "left out: Bulk upload",
            "POST /sink",
            "left out: gRPC unary call",
            "left out: Bulk download",
        ],
    );
    let results = file::load(&folder.path().join("out")).unwrap();
    let titles: Vec<_> = results.cases.iter().map(|case| case.case.title()).collect();
    // Requests under closed and under open load, of which --connections takes nothing but the number.
    assert_eq!(titles.len(), 4, "{titles:?}");
    assert_eq!(results.skipped.len(), 3, "{:?}", results.skipped);
    assert!(
        results.warnings[0].contains("GET /v1/models"),
        "{:?}",
        results.warnings
    );
    let tokens = results.cases.last().unwrap();
    assert!(
        tokens
            .blocks
            .iter()
            .all(|block| block.units >= 3 * block.ops && block.errors == 0)
    );
    assert!(
        tokens.blocks.iter().all(|block| block.late.is_none()),
        "nobody promised when a token is due"
    );
    let report = std::fs::read_to_string(folder.path().join("out/report.md")).unwrap();
    assert!(report.contains("## Not measured") && !report.contains("added latency per token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_requests_has_not_stopped_answering() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&pki, true).await;
    let output = compare(folder.path(), &pki, server, &["--scenario", "token-stream"]);
    assert_told(&output, 1, &["still accepts connections", "answered 404"]);
}
