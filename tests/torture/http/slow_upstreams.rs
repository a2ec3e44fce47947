//! Apps that read an upload slowly, all the time: what lies in the kernel lasts them for longer than the
//! idle timeout, and is no silence.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::frames::{ACK, END_HEADERS, END_STREAM, HEADERS, SETTINGS, frame};
use crate::support::http::h2_request;
use crate::support::{Setup, read_head, upstream, within};

const SLOWLY: Duration = Duration::from_secs(6);
const UPLOAD: usize = 16 * 1024 * 1024;
const STATUS_200: &[u8] = &[0x88];

/// Takes one connection, reads slowly for a while, and answers by `answer`. What was sent to it before is `first`.
fn slow(first: Vec<u8>, answer: Vec<u8>) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&first).await.unwrap();
        let taken = read_slowly(&mut stream).await;
        assert!(taken < UPLOAD / 2, "{taken} bytes: not slow");
        stream.write_all(&answer).await.unwrap();
        while stream
            .read_buf(&mut Vec::with_capacity(64 * 1024))
            .await
            .unwrap_or(0)
            > 0
        {}
    });
    address
}

async fn read_slowly(stream: &mut TcpStream) -> usize {
    let (begun, mut taken) = (Instant::now(), 0);
    let mut piece = vec![0; 16 * 1024];
    while begun.elapsed() < SLOWLY {
        taken += stream.read(&mut piece).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    taken
}

async fn uploads(mut writer: impl AsyncWrite + Unpin) {
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {UPLOAD}\r\n\r\n");
    let whole = [head.as_bytes(), &vec![b'x'; UPLOAD]].concat();
    let _ = writer.write_all(&whole).await;
}

/// How the app begins over HTTP/2: with a window for all of it, so that the kernel alone holds the upload back.
fn begin() -> Vec<u8> {
    let window = (1_u32 << 30).to_be_bytes();
    let settings = [&4_u16.to_be_bytes()[..], &window].concat();
    [
        frame(SETTINGS, 0, 0, &settings),
        frame(SETTINGS, ACK, 0, &[]),
        frame(8, 0, 0, &window),
    ]
    .concat()
}

async fn is_waited_for(version: &str, app: SocketAddr) {
    let sidecar = Setup::in_front_of(app)
        .listener(&format!("upstream-http = \"{version}\""))
        .timeouts("idle-timeout = \"1s\"")
        .start();
    let (mut reader, writer) = tokio::io::split(sidecar.connect(&["http/1.1"]).await);
    // What is left of it when the response comes is nobody's.
    let upload = tokio::spawn(uploads(writer));
    let mut status = [0; 12];
    within(reader.read_exact(&mut status)).await.unwrap();
    let status = status.escape_ascii().to_string();
    assert_eq!(status, "HTTP/1.1 200", "{version}");
    upload.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_reads_slowly_is_not_idle_over_either_version() {
    let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
    let answer = frame(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_200);
    tokio::join!(
        is_waited_for("http1", slow(Vec::new(), whole)),
        is_waited_for("http2", slow(begin(), answer)),
    );
}

/// Uploads that their app does not take hold the window of the connection: who cannot send for that is not
/// waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_window_we_keep_is_not_given_up() {
    const DEAF: usize = 8;
    let app = upstream(async |mut stream: TcpStream| {
        let head = read_head(&mut stream).await.unwrap();
        if head.contains(" /deaf ") {
            return pending().await;
        }
        stream.read_exact(&mut [0; 10]).await.unwrap();
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .timeouts("client-timeout = \"1s\"")
        .start();
    let client = sidecar.http2().await;
    let mut uploads = Vec::new();
    for _ in 0..DEAF {
        let request = h2_request("POST", "/deaf").body(()).unwrap();
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut body) = ready.send_request(request, false).unwrap();
        let large = Bytes::from(vec![b'x'; UPLOAD]);
        body.send_data(large, false).unwrap();
        uploads.push((response, body));
    }
    // Until nothing more is taken: the kernel holds megabytes of each, and a busy machine may stand still for a second.
    let (mut before, mut still) = (-1.0, 0);
    within(async {
        while still < 3 {
            sleep(Duration::from_secs(1)).await;
            let now = sidecar.metric("hybridge_wire_bytes_total", &[]).await;
            still = if now == before { still + 1 } else { 0 };
            before = now;
        }
    })
    .await;
    let request = h2_request("POST", "/").body(()).unwrap();
    let mut ready = client.clone().ready().await.unwrap();
    let (response, mut body) = ready.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"ten bytes."), true)
        .unwrap();
    let waited = timeout(Duration::from_secs(4), response).await;
    assert!(waited.is_err(), "{:?}", waited.map(|r| r.unwrap().status()));
    let refused = [("code", "4xx")];
    let refused = sidecar.metric("hybridge_requests_total", &refused).await;
    assert_eq!(refused, 0.0);
}

/// What others move on a connection is no sign of life of a request that hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_hangs_is_idle_beside_an_upload() {
    let app = slow(begin(), Vec::new());
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http2\"")
        .timeouts("idle-timeout = \"1s\"")
        .process("workers = 1")
        .start();
    let (_reader, writer) = tokio::io::split(sidecar.connect(&["http/1.1"]).await);
    let upload = tokio::spawn(uploads(writer));
    // The upload has the connection; the app reads frames of both as mere bytes.
    sleep(Duration::from_secs(1)).await;
    let mut client = sidecar.connect(&["http/1.1"]).await;
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut status = [0; 12];
    let hung = timeout(Duration::from_secs(4), client.read_exact(&mut status));
    hung.await.unwrap().unwrap();
    assert_eq!(&status, b"HTTP/1.1 504");
    upload.abort();
}
