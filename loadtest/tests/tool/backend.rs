//! The backend of the peers plans speaks HTTP/1.1 and HTTP/2 on one port; streams share a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::support::program::BIN;
use crate::support::{Pki, case, endpoint, serve, target, unused_address};
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::run::load::Crew;
use hybridge_loadtest::session::Sample;
use hybridge_loadtest::stub;
use hybridge_loadtest::tls::Group;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const GROUPS: [Group; 1] = [Group::X25519MLKEM768];

/// Some blocks against the backend behind TLS; the sample, and how many connections it took.
async fn measure(case: Case) -> (Sample, u64) {
    let pki = Pki::new();
    let address = serve(pki.speaking(&GROUPS, &["h2", "http/1.1"])).await;
    let endpoint = endpoint("backend", address, &pki, &GROUPS);
    let target = target(Role::Subject, Arc::clone(&endpoint));
    let mut crew = Crew::new(&Arc::new(case), target, &mut Rng::new(1));
    crew.prepare().await.unwrap();
    let (mut sample, _) = crew.work(Duration::from_millis(60)).await.unwrap();
    sample.absorb(crew.work(Duration::from_millis(60)).await.unwrap().0);
    crew.dismiss().await;
    (sample, endpoint.totals.read().handshakes)
}

#[tokio::test]
async fn one_port_answers_both_versions_of_http() {
    for (scenario, up, down) in [
        (Scenario::H1Keepalive, 0, 1024),
        (Scenario::H1Keepalive, 200_000, 0),
        (Scenario::H2Keepalive, 0, 0),
        (Scenario::H2Keepalive, 0, 300_000),
        (Scenario::H2Keepalive, 200_000, 0),
        (Scenario::GrpcUnary, 1024, 1024),
        (Scenario::GrpcUnary, 300_000, 300_000),
        (Scenario::GrpcStream, 1024, 1024),
    ] {
        let (sample, connections) = measure(Case {
            up,
            down,
            ..case(scenario)
        })
        .await;
        assert!(
            sample.ops >= 4 && sample.errors == 0 && connections == 2,
            "{scenario:?} {up} {down}: {connections} connections, {sample:?}"
        );
    }
}

/// What the backend of a process of its own answers to one question.
async fn asked(length: usize, question: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(stub::serve(listener));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let body = format!("{question}{}", " ".repeat(length - question.len()));
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.abort();
    answer
}

#[tokio::test]
async fn a_question_that_is_too_long_is_refused() {
    let answer = asked(3 << 20, "{\"max_tokens\":1}").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = asked(1 << 20, "{\"max_tokens\":1}").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn an_interval_that_is_none_is_refused() {
    for interval in ["1e22", "1e300", "-1"] {
        let question = format!("{{\"max_tokens\":3,\"hybridge_interval_ms\":{interval}}}");
        let answer = asked(100, &question).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{interval}: {answer}");
    }
}

/// A server, and the first line that it says.
fn started(command: &mut Command) -> (Child, String) {
    let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let said = server.stderr.take().unwrap();
    BufReader::new(said).read_line(&mut line).unwrap();
    (server, line)
}

/// Out of open files, a server waits until there are some again.
#[test]
fn running_out_of_open_files_ends_no_server() {
    for arguments in ["backend --listen", "forward --to 127.0.0.1:1 --listen"] {
        let address = unused_address();
        let command = format!("ulimit -n 24; exec {BIN} {arguments} {address}");
        let (mut server, line) = started(Command::new("sh").args(["-c", &command]));
        let held: Vec<_> = (0..60)
            .map_while(|_| std::net::TcpStream::connect(address).ok())
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(server.try_wait().unwrap(), None, "{arguments}: {line}");
        assert!(held.len() > 24, "{arguments}: {}", held.len());
        drop(held);
        std::thread::sleep(Duration::from_millis(300));
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        if arguments.starts_with("backend") {
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
        }
        assert_eq!(server.try_wait().unwrap(), None, "{arguments}");
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

#[tokio::test]
async fn streams_share_their_connection_and_its_bytes() {
    for scenario in [
        Scenario::H2Keepalive,
        Scenario::GrpcUnary,
        Scenario::GrpcStream,
    ] {
        let (sample, connections) = measure(Case {
            load: Load::Closed { connections: 2 },
            streams: 25,
            ..case(scenario)
        })
        .await;
        assert_eq!(connections, 2, "{scenario:?}");
        assert!(sample.ops >= 100, "each of 50 streams, twice: {sample:?}");
        let (least, most) = (sample.ops * 1024, sample.ops * 1300);
        assert!(
            (least..most).contains(&sample.bytes.plain_down),
            "{scenario:?}: bytes are counted once: {sample:?}"
        );
    }
}

#[tokio::test]
async fn a_first_byte_in_common_with_http2_does_not_mislead() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(stub::serve(listener));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.set_nodelay(true).unwrap();
    // POST begins as the preface does, and comes in two pieces.
    client.write_all(b"P").await.unwrap();
    tokio::task::yield_now().await;
    client
        .write_all(b"OST /sink HTTP/1.1\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc")
        .await
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n3\n"), "{answer}");
    served.abort();
}

#[test]
fn the_port_that_the_system_chose_is_said() {
    for command in ["backend", "forward"] {
        let (mut server, line) =
            started(Command::new(BIN).args([command, "--listen", "127.0.0.1:0"]));
        let address = line
            .split_whitespace()
            .find(|word| word.starts_with("127.0.0.1:"));
        let connected = std::net::TcpStream::connect(address.unwrap());
        server.kill().unwrap();
        server.wait().unwrap();
        assert!(connected.is_ok(), "{line}");
    }
}
