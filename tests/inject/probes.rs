//! The checks behind rewritten probes, against apps that are well, ill, slow, or not there.

use std::net::SocketAddr;

use bytes::Bytes;

use hybridge::probes::{CheckError, Probe, ProbeTable};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

fn probe(address: SocketAddr, mut fields: Value) -> Probe {
    fields["path"] = json!("/probe/app/readiness");
    fields["address"] = json!(address.ip());
    fields["port"] = json!(address.port());
    fields["timeoutSeconds"] = json!(1);
    let table = ProbeTable::from_json(&json!([fields]).to_string()).unwrap();
    table.lookup("/probe/app/readiness").unwrap().clone()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers one connection with these bytes and tells what it read.
async fn app(answer: &'static str) -> (SocketAddr, oneshot::Receiver<String>) {
    let (listener, address) = listener().await;
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut text).await.unwrap();
        }
        let _ = tell.send(String::from_utf8(text).unwrap());
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    (address, told)
}

#[tokio::test]
async fn an_http_probe_sends_its_path_and_headers_and_takes_200_to_399() {
    let (address, told) = app("HTTP/1.1 204 No Content\r\n\r\n").await;
    let fields = json!({"kind": "http", "target": "/health?full=1", "headers": [{"name": "Host", "value": "model"}, {"name": "X-Key", "value": "v"}]});
    probe(address, fields).check().await.result.unwrap();
    let request = told.await.unwrap();
    assert!(
        request.starts_with("GET /health?full=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\nHost: model\r\n") && request.contains("\r\nX-Key: v\r\n"),
        "{request}"
    );
    assert_eq!(request.to_ascii_lowercase().matches("\r\nhost:").count(), 1);
}

/// Answers one connection after the other, and tells the heads that it read.
async fn answering(answers: Vec<String>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (listener, address) = listener().await;
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut text).await.unwrap();
            }
            tell.send(String::from_utf8(text).unwrap()).unwrap();
            let answer = answer.replace("{app}", &address.to_string());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, told)
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

/// As the kubelet does: an app that redirects `/health/` to `/health` is as well as `/health` is.
#[tokio::test]
async fn a_redirect_of_the_app_is_followed_and_the_last_response_counts() {
    for (first, asked, host) in [
        (redirect(307, "/health"), "GET /health ", "Host: model"),
        (redirect(301, "../ready?a"), "GET /ready?a ", "Host: model"),
        (redirect(302, "/a b"), "GET /a%20b ", "Host: model"),
        (
            redirect(308, "http://{app}/x#y"),
            "GET /x ",
            "host: 127.0.0.1:",
        ),
    ] {
        for (last, well) in [("200 OK", true), ("503 Busy", false)] {
            let last = format!("HTTP/1.1 {last}\r\n\r\n");
            let (address, mut told) = answering(vec![first.clone(), last]).await;
            let fields = json!({"kind": "http", "target": "/health/", "headers": [{"name": "Host", "value": "model"}, {"name": "X-Key", "value": "v"}]});
            let checked = probe(address, fields).check().await.result;
            assert_eq!(checked.is_ok(), well, "{first}: {checked:?}");
            assert!(told.recv().await.unwrap().contains("Host: model\r\n"));
            let second = told.recv().await.unwrap();
            assert!(second.starts_with(asked), "{second}");
            assert!(
                second.contains(host) && second.contains("X-Key: v"),
                "{second}"
            );
            assert_eq!(second.to_ascii_lowercase().matches("\r\nhost:").count(), 1);
        }
    }
}

#[tokio::test]
async fn a_redirect_elsewhere_counts_and_one_without_an_end_does_not() {
    for last in [
        redirect(302, "https://example.org/"),
        redirect(302, "http://127.0.0.1:1/"),
        "HTTP/1.1 304 Not Modified\r\nlocation: /x\r\n\r\n".to_owned(),
        "HTTP/1.1 302 Found\r\n\r\n".to_owned(),
    ] {
        let (address, _told) = answering(vec![last]).await;
        let checked = probe(address, json!({"kind": "http"})).check().await.result;
        checked.unwrap();
    }
    let (address, mut told) = answering(vec![redirect(302, "/"); 20]).await;
    let failed = probe(address, json!({"kind": "http"})).check().await.result;
    assert!(matches!(failed, Err(CheckError::Redirects)), "{failed:?}");
    let mut requests = 0;
    while told.try_recv().is_ok() {
        requests += 1;
    }
    assert_eq!(requests, 10);
    let (address, _told) = answering(vec![redirect(302, "/a%zz")]).await;
    let failed = probe(address, json!({"kind": "http"})).check().await.result;
    assert!(matches!(failed, Err(CheckError::Location)), "{failed:?}");
    // Nobody knows where it leads.
    let cut = "HTTP/1.1 302 Found\r\nloca".to_owned();
    let (address, _told) = answering(vec![cut]).await;
    let failed = probe(address, json!({"kind": "http"})).check().await.result;
    assert!(matches!(failed, Err(CheckError::NotHttp)), "{failed:?}");
}

#[tokio::test]
async fn an_interim_response_is_not_the_answer() {
    for (answer, well) in [
        (
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", false),
    ] {
        let (address, _) = app(answer).await;
        let checked = probe(address, json!({"kind": "http"})).check().await.result;
        assert_eq!(checked.is_ok(), well, "{answer}: {checked:?}");
    }
}

/// As the kubelet does, which throws a result away whose body does not come to its end.
#[tokio::test]
async fn the_body_is_read_as_far_as_the_kubelet_reads_it() {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    let chunked = format!("{OK}transfer-encoding: chunked\r\n\r\n");
    let many = "x".repeat(10 << 10);
    for (answer, whole) in [
        (format!("{OK}\r\nanything"), true),
        (format!("{OK}content-length: 2\r\n\r\nok"), true),
        (format!("{OK}content-length: 3\r\n\r\nok"), false),
        (
            format!("{OK}content-length: 3\r\ncontent-length: 3\r\n\r\nyes"),
            true,
        ),
        (format!("{OK}content-length: 99999\r\n\r\n{many}"), true),
        (format!("{chunked}2\r\nok\r\n0\r\n\r\n"), true),
        (format!("{chunked}2;a=b\r\nok\r\n0\r\na: b\r\n\r\n"), true),
        (format!("{chunked}2\r\nok\r\n0\r\n"), false),
        (format!("{chunked}2\r\nok\r\n"), false),
        (format!("{chunked}2\r\noka\r\n0\r\n\r\n"), false),
        (format!("{chunked}x\r\nok\r\n"), false),
        (format!("{chunked}ffffffffff\r\n{many}"), true),
        (
            "HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\n".to_owned(),
            true,
        ),
        (
            "HTTP/1.1 503 Busy\r\ncontent-length: 3\r\n\r\n".to_owned(),
            false,
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: //b/\r\ncontent-length: 3\r\n\r\n".to_owned(),
            false,
        ),
    ] {
        let (address, _told) = answering(vec![answer.clone()]).await;
        let checked = probe(address, json!({"kind": "http"})).check().await;
        assert_eq!(checked.result.is_ok(), !answer.contains("503"), "{answer}");
        let ended = checked.end().await;
        assert_eq!(ended.is_ok(), whole, "{answer}: {ended:?}");
    }
    for framing in [
        "transfer-encoding: gzip",
        "content-length: x",
        "content-length: 1\r\ncontent-length: 2",
    ] {
        let (address, _told) = answering(vec![format!("{OK}{framing}\r\n\r\n12")]).await;
        let failed = probe(address, json!({"kind": "http"})).check().await.result;
        assert!(
            matches!(failed, Err(CheckError::NotHttp)),
            "{framing}: {failed:?}"
        );
    }
}

#[tokio::test]
async fn a_body_that_hangs_ends_with_the_probes_own_timeout() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
        stream.write_all(head).await.unwrap();
        std::future::pending::<()>().await;
    });
    let checked = probe(address, json!({"kind": "http"})).check().await;
    assert!(checked.result.is_ok());
    let hung = checked.end().await.unwrap_err();
    assert_eq!(hung.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_bad_status_and_no_http_are_failures_that_say_so() {
    let (address, _) = app("HTTP/1.1 503 Busy\r\n\r\n").await;
    assert!(matches!(
        probe(address, json!({"kind": "http"})).check().await.result,
        Err(CheckError::Status(503))
    ));
    let (address, _) = app("SSH-2.0\r\n").await;
    assert!(matches!(
        probe(address, json!({"kind": "http"})).check().await.result,
        Err(CheckError::NotHttp)
    ));
    let (address, _) = app("").await;
    assert!(matches!(
        probe(address, json!({"kind": "http"})).check().await.result,
        Err(CheckError::NotHttp)
    ));
}

#[tokio::test]
async fn a_silent_app_is_given_up_after_the_probes_own_timeout() {
    let (_listener, address) = listener().await;
    assert!(matches!(
        probe(address, json!({"kind": "http"})).check().await.result,
        Err(CheckError::Timeout(1))
    ));
}

#[tokio::test]
async fn a_tcp_probe_succeeds_while_somebody_listens() {
    let (listener, address) = listener().await;
    let probe = probe(address, json!({"kind": "tcp"}));
    probe.check().await.result.unwrap();
    drop(listener);
    assert!(matches!(probe.check().await.result, Err(CheckError::Io(_))));
}

/// A health service that answers with this message and grpc-status, and tells the request's body.
async fn health(
    message: &'static [u8],
    status: &'static str,
) -> (SocketAddr, oneshot::Receiver<(String, Bytes)>) {
    let (listener, address) = listener().await;
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        tokio::spawn(async move { while connection.accept().await.is_some() {} });
        let path = request.uri().path().to_owned();
        let body = request.into_body().data().await.unwrap().unwrap();
        let _ = tell.send((path, body));
        let head = http::Response::builder()
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        stream
            .send_data(Bytes::from_static(message), false)
            .unwrap();
        stream
            .send_trailers(http::HeaderMap::from_iter([(
                "grpc-status".parse().unwrap(),
                status.parse().unwrap(),
            )]))
            .unwrap();
    });
    (address, told)
}

#[tokio::test]
async fn a_grpc_probe_asks_the_health_service_by_name() {
    let (address, told) = health(b"\0\0\0\0\x02\x08\x01", "0").await;
    probe(address, json!({"kind": "grpc", "service": "llm"}))
        .check()
        .await
        .result
        .unwrap();
    let (path, body) = told.await.unwrap();
    assert_eq!(
        (path.as_str(), &body[..]),
        (
            "/grpc.health.v1.Health/Check",
            &b"\0\0\0\0\x05\x0a\x03llm"[..]
        )
    );
}

#[tokio::test]
async fn a_grpc_service_that_is_not_serving_or_not_there_fails() {
    for (message, status) in [
        (&b"\0\0\0\0\x02\x08\x02"[..], "0"),
        (&b"\0\0\0\0\0"[..], "0"),
        (&b""[..], "12"),
    ] {
        let (address, _) = health(message, status).await;
        let failed = probe(address, json!({"kind": "grpc"})).check().await.result;
        assert!(
            matches!(failed, Err(CheckError::NotServing(_))),
            "{failed:?}"
        );
    }
}

#[test]
fn a_table_cannot_smuggle_a_second_request() {
    for fields in [
        json!({"target": "/a\r\nX: y"}),
        json!({"target": "x"}),
        json!({"headers": [{"name": "a", "value": "b\r\nc"}]}),
        json!({"headers": [{"name": "a b", "value": ""}]}),
    ] {
        let mut entry = json!({"path": "/probe/a/b", "kind": "http", "address": "127.0.0.1", "port": 1, "timeoutSeconds": 1});
        entry
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        assert!(
            ProbeTable::from_json(&json!([entry]).to_string()).is_err(),
            "{entry}"
        );
    }
}
