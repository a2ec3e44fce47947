//! `protocol = "tcp"`: bytes both ways, each direction ending by itself.

use std::time::Duration;

use crate::support::http::{checksum, nobody, pattern};
use crate::support::{Setup, Sidecar, upstream, within};
use hybridge::run::End;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio_rustls::client::TlsStream;

fn tcp(upstream: impl std::fmt::Display) -> Sidecar {
    Setup::in_front_of(upstream)
        .listener("protocol = \"tcp\"")
        .start()
}

async fn client(sidecar: &Sidecar) -> TlsStream<TcpStream> {
    sidecar.connect(&[]).await
}

async fn rest(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.map(|_| rest)
}

#[tokio::test]
async fn the_server_may_speak_first() {
    let app = upstream(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        let mut said = [0; 4];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"QUIT");
    })
    .await;
    let sidecar = tcp(app);
    let mut stream = client(&sidecar).await;
    let mut banner = [0; 11];
    within(stream.read_exact(&mut banner)).await.unwrap();
    assert_eq!(&banner, b"220 ready\r\n");
    stream.write_all(b"QUIT").await.unwrap();
    // A clean end: close_notify, or rustls would call it truncated.
    assert_eq!(rest(&mut stream).await.unwrap(), b"");
}

#[tokio::test]
async fn a_client_that_ends_its_half_still_receives() {
    let app = upstream(|mut stream| async move {
        let mut question = Vec::new();
        stream.read_to_end(&mut question).await.unwrap();
        // Only now, after the client's end, is anything said.
        for piece in question.chunks(100_000) {
            stream.write_all(piece).await.unwrap();
        }
    })
    .await;
    let sidecar = tcp(app);
    let mut stream = client(&sidecar).await;
    let question = pattern(1_000_000);
    stream.write_all(&question).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest(&mut stream).await.unwrap();
    assert_eq!(checksum(0, &answer), checksum(0, &question));
    sidecar
        .metric_reaches("hybridge_connections_total", &[("outcome", "closed")], 1.0)
        .await;
}

#[tokio::test]
async fn a_server_that_ends_its_half_still_receives() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let app = upstream(move |mut stream| {
        let tell = tell.lock().unwrap().take().unwrap();
        async move {
            stream.write_all(b"bye").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            tell.send(rest).unwrap();
        }
    })
    .await;
    let sidecar = tcp(app);
    let mut stream = client(&sidecar).await;
    assert_eq!(rest(&mut stream).await.unwrap(), b"bye");
    for _ in 0..10 {
        stream.write_all(b"more").await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream.shutdown().await.unwrap();
    assert_eq!(within(told).await.unwrap(), b"more".repeat(10));
}

/// It has said all that it had to say, and its response is no broken one.
#[tokio::test]
async fn an_app_that_takes_no_more_behind_its_end_has_broken_no_response_off() {
    let app = upstream(|mut stream| async move {
        stream.read_exact(&mut [0; 4]).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let sidecar = tcp(app);
    let mut stream = client(&sidecar).await;
    stream.write_all(b"quit").await.unwrap();
    assert_eq!(rest(&mut stream).await.unwrap(), b"bye");
    for _ in 0..20 {
        let _ = stream.write_all(b"more").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stream);
    let broken = [("outcome", "upstream_broken")];
    sidecar
        .metric_reaches("hybridge_connections_total", &broken, 1.0)
        .await;
    let reason = [("reason", "broken_body")];
    let failures = sidecar.metric("hybridge_upstream_failures_total", &reason);
    assert_eq!(failures.await, 0.0);
}

#[tokio::test]
async fn an_app_that_is_down_is_a_connection_broken_without_a_clean_end() {
    let (_reserved, address) = nobody();
    let sidecar = tcp(address);
    let mut stream = client(&sidecar).await;
    assert!(rest(&mut stream).await.is_err());
    let refused = [("reason", "refused")];
    sidecar
        .metric_reaches("hybridge_upstream_failures_total", &refused, 1.0)
        .await;
    let broken = [("outcome", "upstream_broken")];
    sidecar
        .metric_reaches("hybridge_connections_total", &broken, 1.0)
        .await;
}

#[tokio::test]
async fn a_unix_socket_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = Vec::new();
        stream.read_to_end(&mut question).await.unwrap();
        stream.write_all(&question).await.unwrap();
    });
    let sidecar = tcp(format!("unix:{}", path.display()));
    let mut stream = client(&sidecar).await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await.unwrap(), b"hello");
}

#[tokio::test]
async fn large_streams_cross_both_ways_at_once() {
    const SIZE: usize = 64 * 1024 * 1024;
    let app = upstream(|stream| async move {
        let (mut reader, mut writer) = stream.into_split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    })
    .await;
    let sidecar = tcp(app);
    let (mut reader, mut writer) = tokio::io::split(client(&sidecar).await);
    let sent = pattern(SIZE);
    let sum = checksum(0, &sent);
    let upload = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut received = Vec::with_capacity(SIZE);
    let reading = reader.read_to_end(&mut received);
    tokio::time::timeout(3 * crate::support::DEADLINE, reading)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((received.len(), checksum(0, &received)), (SIZE, sum));
    upload.await.unwrap();
}

#[tokio::test]
async fn the_idle_timeout_looks_at_both_directions() {
    let app = upstream(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .listener("protocol = \"tcp\"")
        .timeouts("idle-timeout = \"500ms\"")
        .start();
    let mut stream = client(&sidecar).await;
    let started = std::time::Instant::now();
    for _ in 0..10 {
        stream.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Silent in one direction only, for twice the timeout.
    assert!(started.elapsed() > Duration::from_millis(900));
    assert!(sidecar.metric("hybridge_connections_open", &[]).await > 0.5);
    assert!(rest(&mut stream).await.is_err());
}

/// Plaintext has no close_notify: an upload that was cut must not look like a whole one, and what came before the cut
/// is the app's.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_is_a_reset_for_the_app() {
    type Cut = fn(TcpStream);
    let by_fin: Cut = drop;
    let by_reset: Cut = |socket| {
        SockRef::from(&socket)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    };
    for (how, cut) in [("FIN without close_notify", by_fin), ("RST", by_reset)] {
        let (heard, mut hears) = tokio::sync::mpsc::channel(1);
        let app = upstream(move |mut stream| {
            let heard = heard.clone();
            async move {
                let mut upload = Vec::new();
                let end = stream.read_to_end(&mut upload).await;
                heard.send((upload.len(), end.is_err())).await.unwrap();
            }
        })
        .await;
        let sidecar = tcp(app);
        let mut stream = client(&sidecar).await;
        stream.write_all(&pattern(300_000)).await.unwrap();
        let came = [("direction", "in")];
        sidecar
            .metric_reaches("hybridge_payload_bytes_total", &came, 300_000.0)
            .await;
        // The socket, without a word of TLS.
        cut(stream.into_inner().0);
        let seen = within(hears.recv()).await.unwrap();
        assert_eq!(seen, (300_000, true), "{how}");
    }
}

/// The same of one that a drain cuts.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_drain_cuts_is_a_reset_for_the_app() {
    let (heard, mut hears) = tokio::sync::mpsc::channel(1);
    let app = upstream(move |mut stream| {
        let heard = heard.clone();
        async move {
            let end = stream.read_to_end(&mut Vec::new()).await;
            heard.send(end.is_err()).await.unwrap();
        }
    })
    .await;
    let mut sidecar = Setup::in_front_of(app)
        .listener("protocol = \"tcp\"")
        .process("[drain]\ndelay = \"0s\"\ntimeout = \"200ms\"\n")
        .start();
    let mut stream = client(&sidecar).await;
    stream.write_all(b"part").await.unwrap();
    sidecar
        .metric_reaches("hybridge_payload_bytes_total", &[("direction", "in")], 4.0)
        .await;
    let end = within(sidecar.running.take().unwrap().shutdown()).await;
    assert!(matches!(end, End::Aborted(1)), "{end:?}");
    assert!(within(hears.recv()).await.unwrap(), "an orderly end");
}
