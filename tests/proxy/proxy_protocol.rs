//! A proxy in front says by the PROXY protocol whose connection it forwards: trusted from the senders in
//! `proxy-protocol-from`, and of nobody else.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::support::http::{echo_app, read_response};
use crate::support::process::Process;
use crate::support::proxy_protocol::{binary, four, version_1, version_2};
use crate::support::{Setup, Sidecar, client_config, hello, within};

const PROXY: [u8; 4] = [127, 0, 0, 2];
const DIRECT: [u8; 4] = [127, 0, 0, 1];
const FAILED: &str = "hybridge_handshake_failures_total";

async fn setup() -> Setup {
    Setup::in_front_of(echo_app().await).listener("proxy-protocol-from = [\"127.0.0.2\"]")
}

async fn tcp(to: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let stream = socket.connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What the app was told of the client that a request comes from.
async fn told<S: AsyncRead + AsyncWrite + Unpin>(sidecar: &Sidecar, stream: S) -> Vec<String> {
    let connector = TlsConnector::from(Arc::new(client_config(&sidecar.ca, &["http/1.1"])));
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = within(connector.connect(name, stream)).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.66\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = within(read_response(&mut stream, false)).await.unwrap();
    let body = String::from_utf8(answer.body).unwrap();
    body.lines()
        .filter(|line| line.starts_with("x-forwarded-for") || line.starts_with("forwarded"))
        .map(str::to_owned)
        .collect()
}

fn lines(client: &str, node: &str) -> [String; 2] {
    [
        format!("x-forwarded-for: {client}"),
        format!("forwarded: for={node};proto=https;host=\"a\""),
    ]
}

async fn told_after(sidecar: &Sidecar, header: &[u8]) -> Vec<String> {
    let mut stream = tcp(sidecar.address, PROXY).await;
    stream.write_all(header).await.unwrap();
    told(sidecar, stream).await
}

#[tokio::test]
async fn the_app_is_told_the_client_that_the_proxy_names() {
    let sidecar = setup().await.start();
    let four = "192.0.2.7:5000";
    for header in [version_1(four), version_2(four)] {
        let expected = lines("192.0.2.7", "192.0.2.7");
        assert_eq!(told_after(&sidecar, &header).await, expected);
    }
    let six = version_1("[2001:db8::7]:5000");
    let expected = lines("2001:db8::7", "\"[2001:db8::7]\"");
    assert_eq!(told_after(&sidecar, &six).await, expected);
}

/// One byte a segment, the last of the header too; and the header in one segment with the hello.
#[tokio::test]
async fn a_header_arrives_in_any_pieces() {
    let sidecar = setup().await.start();
    for header in [version_1("192.0.2.7:5000"), version_2("192.0.2.7:5000")] {
        let mut stream = tcp(sidecar.address, PROXY).await;
        for byte in &header {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let expected = lines("192.0.2.7", "192.0.2.7");
        assert_eq!(told(&sidecar, stream).await, expected);
        let mut first = tcp(sidecar.address, PROXY).await;
        let together = [&header[..], &hello::hybrid()].concat();
        first.write_all(&together).await.unwrap();
        // A ServerHello.
        assert_eq!(within(first.read_u8()).await.unwrap(), 22);
    }
}

#[tokio::test]
async fn a_header_without_a_tcp_client_leaves_the_address_of_the_socket() {
    let sidecar = setup().await.start();
    let client = four("192.0.2.7:5000".parse().unwrap());
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        // LOCAL: the proxy's own health check.
        binary(0x20, 0x00, &[]),
        binary(0x20, 0x11, &client),
        // A Unix socket; UDP; no family.
        binary(0x21, 0x31, &[b'x'; 216]),
        binary(0x21, 0x12, &client),
        binary(0x21, 0x00, &[]),
    ] {
        let expected = lines("127.0.0.2", "127.0.0.2");
        assert_eq!(told_after(&sidecar, &header).await, expected, "{header:x?}");
    }
}

#[tokio::test]
async fn other_senders_are_served_without_a_header_and_never_trusted() {
    let sidecar = setup().await.start();
    let direct = tcp(sidecar.address, DIRECT).await;
    let expected = lines("127.0.0.1", "127.0.0.1");
    assert_eq!(told(&sidecar, direct).await, expected);
    for header in [version_1("192.0.2.7:5000"), version_2("192.0.2.7:5000")] {
        let mut stream = tcp(sidecar.address, DIRECT).await;
        let spoofed = [&header[..], &hello::hybrid()].concat();
        stream.write_all(&spoofed).await.unwrap();
        let answer = rest(&mut stream).await;
        assert_eq!(answer, hello::alert(50), "decode_error, no ServerHello");
    }
    sidecar
        .metric_reaches(FAILED, &[("reason", "not_tls")], 2.0)
        .await;
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = within(stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn a_header_is_required_of_the_proxy() {
    let sidecar = setup().await.start();
    let mut stream = tcp(sidecar.address, PROXY).await;
    stream.write_all(&hello::hybrid()).await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    let missing = [("reason", "proxy_header_missing"), ("listener", "test")];
    sidecar.metric_reaches(FAILED, &missing, 1.0).await;
}

#[tokio::test]
async fn a_bad_header_ends_the_connection_with_a_reason_of_its_own() {
    let sidecar = setup().await.start();
    let client = four("192.0.2.7:5000".parse().unwrap());
    let mut too_long = binary(0x21, 0x11, &client);
    too_long[14..16].copy_from_slice(&4097_u16.to_be_bytes());
    let bad = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n".to_vec(),
        [b"PROXY UNKNOWN ", &[b'x'; 120][..]].concat(),
        binary(0x31, 0x11, &client),
        binary(0x22, 0x11, &client),
        binary(0x21, 0x41, &client),
        binary(0x21, 0x21, &client),
        binary(0x21, 0x11, &[&client[..], &[1, 0, 9]].concat()),
        binary(0x21, 0x11, &[&client[..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
        too_long,
    ];
    for header in &bad {
        let mut stream = tcp(sidecar.address, PROXY).await;
        let begun = [&header[..], &hello::hybrid()].concat();
        stream.write_all(&begun).await.unwrap();
        assert_eq!(rest(&mut stream).await, b"", "{header:x?}");
    }
    let invalid = [("reason", "proxy_header_invalid")];
    let count = bad.len() as f64;
    sidecar.metric_reaches(FAILED, &invalid, count).await;
    sidecar.metric_is(FAILED, &[], count).await;
}

#[tokio::test]
async fn a_header_has_the_time_of_the_handshake() {
    let sidecar = setup().await.tls("handshake-timeout = \"300ms\"").start();
    let mut silent = tcp(sidecar.address, PROXY).await;
    let mut half = tcp(sidecar.address, PROXY).await;
    half.write_all(b"PROXY TCP4 192.").await.unwrap();
    let mut without_hello = tcp(sidecar.address, PROXY).await;
    let header = version_2("192.0.2.7:5000");
    without_hello.write_all(&header).await.unwrap();
    for stream in [&mut silent, &mut half, &mut without_hello] {
        assert_eq!(rest(stream).await, b"");
    }
    sidecar
        .metric_reaches(FAILED, &[("reason", "timeout")], 3.0)
        .await;
    let mut leaves = tcp(sidecar.address, PROXY).await;
    leaves.write_all(b"PROXY ").await.unwrap();
    drop(leaves);
    sidecar
        .metric_reaches(FAILED, &[("reason", "vanished")], 1.0)
        .await;
    drop(tcp(sidecar.address, PROXY).await);
    sidecar
        .metric_reaches(FAILED, &[("reason", "no_hello")], 1.0)
        .await;
}

#[tokio::test]
async fn a_handshake_counts_for_the_client_that_the_proxy_names() {
    let sidecar = setup().await.tls("max-handshakes = 3").start();
    let half_open = async |client: &str| {
        let mut stream = tcp(sidecar.address, PROXY).await;
        let begun = [&version_2(client)[..], &hello::hybrid()].concat();
        stream.write_all(&begun).await.unwrap();
        within(stream.read_u8()).await.unwrap();
        stream
    };
    let mut honest = half_open("198.51.100.9:1").await;
    let mut flood = Vec::new();
    for host in 0..6 {
        flood.push(half_open(&format!("192.0.2.{host}:1")).await);
    }
    let shed = [("reason", "half_open_handshakes")];
    sidecar
        .metric_reaches("hybridge_shed_total", &shed, 4.0)
        .await;
    // All come from one socket address: by that, the oldest would have gone, and it is still there.
    // Which of the flood went is not looked at: a ServerHello is sent before its handshake waits.
    honest.write_all(&hello::alert(90)).await.unwrap();
    sidecar
        .metric_reaches(FAILED, &[("reason", "client_alert")], 1.0)
        .await;
}

#[tokio::test]
async fn a_full_listener_counts_connections_by_the_client_that_the_proxy_names() {
    let sidecar = setup().await.limits("max-connections = 4").start();
    let open = async |client: &str| {
        let mut stream = tcp(sidecar.address, PROXY).await;
        let begun = [&version_2(client)[..], &hello::hybrid()].concat();
        stream.write_all(&begun).await.unwrap();
        within(stream.read_u8()).await.unwrap();
        stream
    };
    let mut honest = open("198.51.100.9:1").await;
    let mut flood = Vec::new();
    for host in 0..6 {
        flood.push(open(&format!("192.0.2.{host}:1")).await);
    }
    let shed = [("reason", "handshake")];
    sidecar
        .metric_reaches("hybridge_shed_total", &shed, 3.0)
        .await;
    for stream in &mut flood[..3] {
        rest(stream).await;
    }
    honest.write_all(&hello::alert(90)).await.unwrap();
    sidecar
        .metric_reaches(FAILED, &[("reason", "client_alert")], 1.0)
        .await;
}

#[tokio::test]
async fn the_log_names_the_client_and_the_proxy() {
    let process = Process::start(&setup().await).await;
    told_after(&process, &version_1("192.0.2.7:5000")).await;
    process.logs("client=192.0.2.7:5000").await;
    let log = process.log();
    let line = log
        .lines()
        .find(|line| line.contains("client=192.0.2.7:5000"))
        .unwrap();
    assert!(line.contains("proxy=127.0.0.2:"), "{line}");
    let mut stream = tcp(process.address, PROXY).await;
    stream.write_all(&hello::hybrid()).await.unwrap();
    process.logs("reason=\"proxy_header_missing\"").await;
    let log = process.log();
    assert!(log.contains("enable it there, or take its address out of the list"));
}

/// By the address that the proxy names; nobody else has less for it.
#[tokio::test]
async fn a_source_that_begins_too_many_handshakes_is_refused_before_its_hello() {
    let sidecar = setup().await.tls("handshake-rate-per-source = 3").start();
    let begin = async |client: &str| {
        let mut stream = tcp(sidecar.address, PROXY).await;
        let begun = [&version_2(client)[..], &hello::hybrid()].concat();
        let _ = stream.write_all(&begun).await;
        within(stream.read_u8()).await.is_ok()
    };
    let start = std::time::Instant::now();
    let mut served = 0;
    for host in 0..20 {
        served += u64::from(begin(&format!("192.0.2.{host}:1")).await);
    }
    let most = 4 + 3 * start.elapsed().as_secs();
    assert!((3..=most).contains(&served), "{served} of at most {most}");
    assert!(begin("198.51.100.9:1").await);
    let direct = tcp(sidecar.address, DIRECT).await;
    told(&sidecar, direct).await;
    let refused = (20 - served) as f64;
    let reason = [("reason", "handshake_rate"), ("listener", "test")];
    sidecar
        .metric_is("hybridge_shed_total", &reason, refused)
        .await;
    sidecar
        .metric_is(FAILED, &[("reason", "shed")], refused)
        .await;
}
