//! What a peer does wrong is found in the log and in the metrics: the line says who, and why.

use std::net::SocketAddr;
use std::time::Duration;

use hybridge::certgen::Algorithm;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::floods::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, POST, RST_STREAM, SETTINGS, frame,
};
use crate::support::http::{h2_request, read_response};
use crate::support::openssl::server::{Act, Server};
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::{Setup, eventually, read_head, upstream, within};

const CONNECTIONS: &str = "hybridge_connections_total";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `content-length: 2`.
const LENGTH_2: &[u8] = b"\x0f\x0d\x012";

/// Reads heads; `/begin` begins a response and never ends it, anything else waits for ever.
async fn waiting() -> SocketAddr {
    upstream(|mut stream| async move {
        let head = read_head(&mut stream).await.unwrap_or_default();
        if head.contains(" /begin ") {
            let begun = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n";
            stream.write_all(begun).await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await
}

/// A record that no key opens.
async fn garble(socket: &mut TcpStream) {
    let record = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
    socket.write_all(&record).await.unwrap();
}

async fn to_its_end(stream: &mut (impl AsyncRead + Unpin)) {
    let _ = within(stream.read_to_end(&mut Vec::new())).await;
}

/// A process with an egress `out` that verifies by `pki`, and where apps connect to it.
async fn with_egress(pki: &TestPki, settings: &str) -> (Process, SocketAddr) {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    let egress = format!(
        "[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\n{settings}\ntls.ca = \"{}\"",
        ca.display()
    );
    let setup = Setup::in_front_of(waiting().await).process(&egress);
    let process = Process::start(&setup).await;
    let out = process.egress(0).await;
    (process, out)
}

/// One line above debug has all of these.
async fn says(process: &Process, texts: &[&str]) {
    let what = format!("{texts:?} in a line of {}", process.log());
    eventually(&what, async || {
        let log = process.log();
        let mut lines = log.lines().filter(|line| !line.contains("level=DEBUG"));
        lines.any(|line| texts.iter().all(|text| line.contains(text)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_tls_behind_its_handshake_is_no_orderly_end() {
    for (protocol, alpn, first) in [
        ("http", "http/1.1", &b""[..]),
        (
            "http",
            "http/1.1",
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx",
        ),
        ("http", "h2", PREFACE),
        ("tcp", "http/1.1", b"x"),
    ] {
        let listener = format!("protocol = \"{protocol}\"");
        let setup = Setup::in_front_of(waiting().await).listener(&listener);
        let process = Process::start(&setup).await;
        let mut client = process.connect(&[alpn]).await;
        client.write_all(first).await.unwrap();
        client.flush().await.unwrap();
        garble(client.get_mut().0).await;
        to_its_end(&mut client).await;
        let broken = [("outcome", "protocol_error")];
        process.metric_reaches(CONNECTIONS, &broken, 1.0).await;
        let line = [
            "message=\"connection closed\"",
            "client=127.0.0.1",
            "reason=\"broken_tls\"",
            "BadRecordMac",
        ];
        says(&process, &line).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_tls_is_named_by_an_egress() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let leaf = pki.leaf(&["localhost"]);
    let [closed, failed] = ["connection closed", "upstream failed"];
    let [broken, malformed] = ["reason=\"broken_tls\"", "reason=\"bad_response\""];
    for (protocol, alpn, expected) in [
        ("protocol = \"tcp\"", &b""[..], [closed, broken]),
        ("protocol = \"http\"", b"\x08http/1.1", [failed, malformed]),
        (
            "protocol = \"http\"\nupstream-http = \"http2\"",
            b"\x02h2",
            [failed, malformed],
        ),
    ] {
        let server = Server::new(&leaf).act(Act::Garble);
        let server = match alpn {
            b"" => server.listen(),
            alpn => server.speaking(alpn).listen(),
        };
        let target = format!("localhost:{}", server.address.port());
        let (process, out) = with_egress(&pki, &format!("{protocol}\ntarget = \"{target}\"")).await;
        let mut app = TcpStream::connect(out).await.unwrap();
        let get = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        app.write_all(get).await.unwrap();
        to_its_end(&mut app).await;
        says(
            &process,
            &[expected[0], expected[1], "listener=out", "BadRecordMac"],
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_contradicts_its_head_over_http2_is_a_refused_request() {
    let process = Process::start(&Setup::in_front_of(waiting().await)).await;
    let mut client = process.connect(&["h2"]).await;
    let head = frame(HEADERS, END_HEADERS, 1, &[POST, LENGTH_2].concat());
    client.write_all(&[PREFACE, &head].concat()).await.unwrap();
    process.metric_is("hybridge_requests_open", &[], 1.0).await;
    client
        .write_all(&frame(DATA, END_STREAM, 1, b"hello"))
        .await
        .unwrap();
    let refused = [("code", "4xx")];
    process
        .metric_reaches("hybridge_requests_total", &refused, 1.0)
        .await;
    let line = [
        "message=\"request refused\"",
        "client=127.0.0.1",
        "the body is malformed",
        "status=400",
    ];
    says(&process, &line).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_beside_a_response_that_has_begun_is_in_the_log() {
    let process = Process::start(&Setup::in_front_of(waiting().await)).await;
    let mut client = process.connect(&["http/1.1"]).await;
    let head = b"POST /begin HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n";
    client.write_all(head).await.unwrap();
    within(client.read_u8()).await.unwrap();
    client.write_all(b"zz\r\n").await.unwrap();
    let line = [
        "message=\"response broken off\"",
        "client=127.0.0.1",
        "the body is malformed",
    ];
    says(&process, &line).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_a_timeout_breaks_off_says_so() {
    let setup = Setup::in_front_of(waiting().await).timeouts("idle-timeout = \"300ms\"");
    let process = Process::start(&setup).await;
    let client = process.http2().await;
    let request = h2_request("GET", "/begin").body(()).unwrap();
    let mut ready = client.ready().await.unwrap();
    let (response, _) = ready.send_request(request, true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    while let Some(Ok(_)) = within(body.data()).await {}
    says(
        &process,
        &["message=\"response broken off\"", "idle-timeout"],
    )
    .await;
}

async fn speaks_something_else(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let begun = b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n";
    stream.write_all(begun).await.unwrap();
    to_its_end(stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_preface_of_http2_is_named() {
    let server = Process::start(&Setup::in_front_of(waiting().await)).await;
    let dir = tempfile::tempdir().unwrap();
    let (ca, socket) = (dir.path().join("ca.crt"), dir.path().join("app.sock"));
    std::fs::write(&ca, &server.ca).unwrap();
    let egress = format!(
        "[[egress]]\nname = \"out\"\nlisten = \"unix:{}\"\ntarget = \"localhost:{}\"\nprotocol = \"http\"\ntls.ca = \"{}\"",
        socket.display(),
        server.address.port(),
        ca.display()
    );
    let setup = Setup::in_front_of(waiting().await).process(&egress);
    let process = Process::start(&setup).await;
    let mut client = process.connect(&["h2"]).await;
    speaks_something_else(&mut client).await;
    let refused = "message=\"HTTP/2 connection refused\"";
    says(&process, &[refused, "client=127.0.0.1", "preface"]).await;
    let mut app = UnixStream::connect(&socket).await.unwrap();
    speaks_something_else(&mut app).await;
    says(
        &process,
        &[refused, "listener=out", "client=unix", "preface"],
    )
    .await;
    let closed = [
        "message=\"connection closed\"",
        "listener=out",
        "protocol_error",
    ];
    says(&process, &closed).await;
}

/// Reads the preface and frames, up to the head of a request.
async fn until_a_request(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await?;
        if head[3] == HEADERS {
            return Ok(());
        }
    }
}

/// An app behind `upstream-http = "http2"` that speaks something else, or breaks HTTP/2, or says why it ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_says_wrong_over_http2_is_named() {
    let settings = frame(SETTINGS, 0, 0, &[]);
    for (instead, first, reason, said) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            true,
            "bad_response",
            "set upstream-http to http1",
        ),
        (
            b"\x15\x03\x03\0\x02\x02\x46",
            true,
            "bad_response",
            "it is a TLS alert",
        ),
        (
            b"SSH-2.0-OpenSSH\r\n",
            true,
            "bad_response",
            "does not follow HTTP/2: ",
        ),
        // DATA on stream 0, GOAWAY and RST_STREAM with ENHANCE_YOUR_CALM.
        (
            &frame(DATA, 0, 0, b"x"),
            false,
            "bad_response",
            "does not follow HTTP/2: PROTOCOL_ERROR",
        ),
        (
            &frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\x0b"),
            false,
            "closed",
            "before it answered: ENHANCE_YOUR_CALM",
        ),
        (
            &frame(RST_STREAM, 0, 1, b"\0\0\0\x0b"),
            false,
            "closed",
            "before it answered: ENHANCE_YOUR_CALM",
        ),
    ] {
        let (instead, settings) = (instead.to_vec(), settings.clone());
        let app = upstream(move |mut stream| {
            let (instead, settings) = (instead.clone(), settings.clone());
            async move {
                if first {
                    let _ = stream.read_exact(&mut [0; 24]).await;
                } else {
                    stream.write_all(&settings).await.unwrap();
                    until_a_request(&mut stream).await.unwrap();
                }
                let _ = stream.write_all(&instead).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let listener = "upstream-http = \"http2\"";
        let setup = Setup::in_front_of(app.await).listener(listener);
        let process = Process::start(&setup).await;
        let mut client = process.connect(&["http/1.1"]).await;
        let post = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
        client.write_all(post).await.unwrap();
        let response = within(read_response(&mut client, false)).await;
        assert_eq!(response.unwrap().status(), 502, "{said}");
        let reason = format!("reason=\"{reason}\"");
        says(&process, &["message=\"upstream failed\"", &reason, said]).await;
    }
}

/// Which of many servers it was, the metrics do not say.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_target_of_a_forward_proxy_is_named() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let leaf = pki.leaf(&["localhost"]);
    let settings = "capture = \"http-proxy\"\ntargets-allowed = [\"localhost:1024-65535\"]";
    let (process, out) = with_egress(&pki, settings).await;
    let mut app = TcpStream::connect(out).await.unwrap();
    let servers = [0, 1].map(|_| {
        let server = Server::new(&leaf).act(Act::Garble);
        server.speaking(b"\x08http/1.1").listen()
    });
    let [first, second] = servers.each_ref().map(|server| server.address.port());
    for port in [first, second] {
        let get = format!("GET http://localhost:{port}/ HTTP/1.1\r\nhost: a\r\n\r\n");
        app.write_all(get.as_bytes()).await.unwrap();
        let response = within(read_response(&mut app, false)).await;
        assert_eq!(response.unwrap().status(), 502);
        let upstream = format!("upstream=localhost:{port} ");
        says(&process, &["message=\"upstream failed\"", &upstream]).await;
    }
    let refused = b"GET http://example.org/ HTTP/1.1\r\nhost: a\r\n\r\n";
    app.write_all(refused).await.unwrap();
    let line = [
        "upstream=http-proxy ",
        "reason=\"target_refused\"",
        "lets apps reach example.org",
    ];
    says(&process, &line).await;
}

/// Which is the beginning of HTTP/2 and of nothing else, or of TLS.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_begins_and_goes_no_further_is_refused() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let settings = "protocol = \"http\"\ntarget = \"localhost:1\"";
    let (process, out) = with_egress(&pki, settings).await;
    let last = async |begun: &[u8]| {
        let mut app = TcpStream::connect(out).await.unwrap();
        app.write_all(begun).await.unwrap();
        let mut answered = Vec::new();
        // An egress gives a head 30 s.
        let ended = timeout(Duration::from_secs(45), app.read_to_end(&mut answered));
        let _ = ended.await.unwrap();
        String::from_utf8_lossy(&answered).into_owned()
    };
    let (unclear, _) = tokio::join!(last(&PREFACE[..9]), last(&PREFACE[..20]));
    assert!(unclear.starts_with("HTTP/1.1 408 "), "{unclear:?}");
    for message in ["request refused", "HTTP/2 connection refused"] {
        let message = format!("message=\"{message}\"");
        let complete = "was not complete in time";
        says(
            &process,
            &[&message, "listener=out", "client=127.0.0.1", complete],
        )
        .await;
    }
    let refused = [("listener", "out"), ("code", "4xx")];
    let requests = "hybridge_requests_total";
    assert_eq!(process.metric(requests, &refused).await, 1.0);
}
