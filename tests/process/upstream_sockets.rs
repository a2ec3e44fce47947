//! Sockets to upstreams against the limit of file descriptors: streams are many, descriptors are few.

use std::sync::Arc;

use http::Request;
use hybridge::budget::Resources;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::limits::{Process, is_answered};
use crate::support::{Setup, read_head, upstream, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const STREAMS: usize = 250;

/// Requests of four clients, 250 streams each, that an upstream leaves without an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_streams_leave_descriptors_for_probes_and_for_others() {
    Resources::raise_descriptors();
    let told = Arc::new(Semaphore::new(0));
    let slow = Arc::clone(&told);
    let upstream = upstream(move |mut stream| {
        let slow = Arc::clone(&slow);
        async move {
            while let Some(head) = read_head(&mut stream).await {
                if head.starts_with("GET /slow") {
                    slow.acquire().await.unwrap().forget();
                }
                stream.write_all(EMPTY).await.unwrap();
            }
        }
    })
    .await;
    let setup = Setup::in_front_of(upstream)
        .limits("max-connections = 300")
        .timeouts("connect-timeout = \"1s\"");
    let process = Process::start_under(&setup, "ulimit -n 1024").await;
    let sidecar = &process.sidecar;

    let mut statuses = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = sidecar.http2().await;
        for _ in 0..STREAMS {
            client = within(client.ready()).await.unwrap();
            let request = Request::get("https://localhost/slow").body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            statuses.spawn(async move { response.await.map(|response| response.status()) });
        }
        clients.push(client);
    }
    // Those that found no descriptor have waited for as long as for a connection.
    let mut refused = 0;
    let refusals = [("reason", "overloaded")];
    let failures = "hybridge_upstream_failures_total";
    sidecar.metric_reaches(failures, &refusals, 200.0).await;
    assert_eq!(within(sidecar.admin("/livez")).await.0, 200);
    assert!(sidecar.metric("process_open_fds", &[]).await < 1024.0);
    for _ in 0..3 {
        let mut newcomer = sidecar.connect(&["http/1.1"]).await;
        newcomer
            .write_all(b"GET /now HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        is_answered(&mut newcomer).await;
    }
    let accept_errors = sidecar.metric("hybridge_accept_errors_total", &[]).await;
    assert_eq!(accept_errors, 0.0);
    let unreachable = [("reason", "unreachable")];
    assert_eq!(sidecar.metric(failures, &unreachable).await, 0.0);

    told.add_permits(4 * STREAMS);
    let mut answered = 0;
    while let Some(status) = within(statuses.join_next()).await {
        match status.unwrap().unwrap().as_u16() {
            200 => answered += 1,
            503 => refused += 1,
            other => panic!("{other}\n{}", process.log()),
        }
    }
    assert!(answered > 200 && refused > 200, "{answered}, {refused}");
    assert_eq!(answered + refused, 4 * STREAMS);
    // What was given back serves the next ones.
    let request = Request::get("https://localhost/now").body(()).unwrap();
    let (response, _) = clients[0].send_request(request, true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    assert_eq!(process.said("accept failed"), 0);
}

/// Each request under way of an app needs a connection to the server: those that find no descriptor for one are
/// told so, and those that have one are served.
#[tokio::test(flavor = "multi_thread")]
async fn an_egress_without_descriptors_says_that_it_is_overloaded() {
    Resources::raise_descriptors();
    let told = Arc::new(Semaphore::new(0));
    let slow = Arc::clone(&told);
    let app = upstream(move |mut stream| {
        let slow = Arc::clone(&slow);
        async move {
            while read_head(&mut stream).await.is_some() {
                slow.acquire().await.unwrap().forget();
                stream.write_all(EMPTY).await.unwrap();
            }
        }
    })
    .await;
    let server = Setup::in_front_of(app).start();
    let ca = server.dir.path().join("server-ca.crt");
    std::fs::write(&ca, &server.ca).unwrap();
    let egress = format!(
        "connect-timeout = \"1s\"\n[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:{}\"\nprotocol = \"http\"\nupstream-http = \"http1\"\ntls.ca = \"{}\"\ntimeouts.connect-timeout = \"1s\"",
        server.address.port(),
        ca.display()
    );
    let setup = Setup::in_front_of(app).timeouts(&egress);
    let process = Process::start_under(&setup, "ulimit -n 256").await;
    let mut statuses = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(process.address_of("out").await)
            .await
            .unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..STREAMS {
            client = within(client.ready()).await.unwrap();
            let request = Request::get("http://localhost/slow").body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            statuses.spawn(async move { response.await.map(|response| response.status()) });
        }
        clients.push(client);
    }
    let refusals = [("listener", "out"), ("reason", "overloaded")];
    let failures = "hybridge_upstream_failures_total";
    let sidecar = &process.sidecar;
    sidecar.metric_reaches(failures, &refusals, 100.0).await;
    assert_eq!(within(sidecar.admin("/livez")).await.0, 200);
    told.add_permits(2 * STREAMS);
    let mut statuses_of = std::collections::BTreeMap::new();
    while let Some(status) = within(statuses.join_next()).await {
        *statuses_of
            .entry(status.unwrap().unwrap().as_u16())
            .or_insert(0) += 1;
    }
    let known = statuses_of.keys().all(|status| [200, 503].contains(status));
    assert!(known && statuses_of.len() == 2, "{statuses_of:?}");
}
