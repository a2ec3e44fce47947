//! Apps that read an upload slowly, all the time: what lies in the kernel lasts them for longer than the
//! idle timeout, and is no silence.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use super::frames::{ACK, END_HEADERS, END_STREAM, HEADERS, SETTINGS, frame};
use crate::support::{Setup, within};

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

async fn is_waited_for(version: &str, app: SocketAddr) {
    let sidecar = Setup::in_front_of(app)
        .listener(&format!("upstream-http = \"{version}\""))
        .timeouts("idle-timeout = \"1s\"")
        .start();
    let (mut reader, mut writer) = tokio::io::split(sidecar.connect(&["http/1.1"]).await);
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {UPLOAD}\r\n\r\n");
    writer.write_all(head.as_bytes()).await.unwrap();
    // What is left of it when the response comes is nobody's.
    let upload = tokio::spawn(async move { writer.write_all(&vec![b'x'; UPLOAD]).await });
    let mut status = [0; 12];
    within(reader.read_exact(&mut status)).await.unwrap();
    let status = status.escape_ascii().to_string();
    assert_eq!(status, "HTTP/1.1 200", "{version}");
    upload.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_reads_slowly_is_not_idle_over_either_version() {
    let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
    // A window for all of it: the kernel alone holds the upload back.
    let window = (1_u32 << 30).to_be_bytes();
    let settings = [&4_u16.to_be_bytes()[..], &window].concat();
    let begin = [
        frame(SETTINGS, 0, 0, &settings),
        frame(SETTINGS, ACK, 0, &[]),
        frame(8, 0, 0, &window),
    ];
    let answer = frame(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_200);
    tokio::join!(
        is_waited_for("http1", slow(Vec::new(), whole)),
        is_waited_for("http2", slow(begin.concat(), answer)),
    );
}
