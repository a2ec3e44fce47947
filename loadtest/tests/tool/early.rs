//! A server that refuses an upload before it has it all: what it answered is told, not how its connection broke.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Pki, case, endpoint, target};
use http::{Response, StatusCode};
use hybridge_loadtest::http::h1::H1;
use hybridge_loadtest::net::stream::Stream;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::run::load::Crew;
use hybridge_loadtest::tls::Group;
use rustls::ServerConnection;
use tokio::io::AsyncWriteExt;

const GROUPS: [Group; 1] = [Group::X25519];
const UP: u64 = 8 << 20;

/// Reads a little of each request, answers with this head, and closes or not.
fn plain(head: &'static str) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for peer in listener.incoming() {
            let mut peer = peer.unwrap();
            let mut some = vec![0; 50_000];
            if peer.read(&mut some).unwrap_or(0) > 0 {
                peer.write_all(head.as_bytes()).ok();
                peer.shutdown(Shutdown::Write).ok();
            }
        }
    });
    address
}

/// Refuses each stream with 413 and NO_ERROR when it has some of it (RFC 9113, section 8.1).
async fn over_http2(pki: &Pki) -> SocketAddr {
    let config = pki.speaking(&GROUPS, &["h2"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            tokio::spawn(async move {
                let Ok(stream) = Stream::handshake(peer, tls.into(), Arc::default()).await else {
                    // Another look at whether it answers.
                    return;
                };
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((mut request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        request.body_mut().data().await;
                        let mut head = Response::new(());
                        *head.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                        respond.send_response(head, true).unwrap();
                        // The request is dropped, which resets the stream.
                    });
                }
            });
        }
    });
    address
}

/// What a block says that fails.
async fn told(pki: &Pki, scenario: Scenario, address: SocketAddr, has_tls: bool) -> String {
    let mut endpoint = (*endpoint("a", address, pki, &GROUPS)).clone();
    if !has_tls {
        endpoint.tls = None;
    }
    let load = Load::Closed { connections: 1 };
    let case = Case {
        load,
        up: UP,
        down: 0,
        ..case(scenario)
    };
    let target = target(Role::Subject, Arc::new(endpoint));
    let mut crew = Crew::new(&Arc::new(case), target, &mut Rng::new(1));
    crew.prepare().await.unwrap();
    let worked = crew.work(Duration::from_millis(50)).await;
    worked.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_answers_to_half_an_upload_is_told() {
    let pki = Pki::new();
    let refused =
        "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let said = told(&pki, Scenario::Upload, plain(refused), false).await;
    assert!(said.contains("/sink answered 413"), "{said}");
    let said = told(&pki, Scenario::H2Keepalive, over_http2(&pki).await, true).await;
    assert!(said.contains("/sink answered 413"), "{said}");
    // Success before the end is none.
    let early = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let said = told(&pki, Scenario::Upload, plain(early), false).await;
    assert!(!said.contains("answered"), "{said}");
}

/// RFC 9110, section 15.2: any number of them, whatever their status.
#[tokio::test]
async fn interim_responses_are_passed_over() {
    let (client, mut server) = tokio::io::duplex(4096);
    let wire = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 199 x\r\nconnection: close\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    server.write_all(wire).await.unwrap();
    let mut h1 = H1::new(client);
    let head = h1.ask(b"GET / HTTP/1.1\r\n\r\n", 0).await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(h1.drain(head.body).await.unwrap(), 2);
    assert!(!h1.is_last());
    server.write_all(b"HTTP/1.1 101 x\r\n\r\n").await.unwrap();
    assert_eq!(h1.response().await.unwrap().status, 101);
}
