//! An upstream whose open answers end on cue.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::{read_head, upstream};

/// Until the cue: `/stream` sends an event every few milliseconds, `/hold` says nothing, `/ws` echoes
/// after a 101. Any other path is answered at once.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    cue: watch::Sender<bool>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let (cue, curtain) = watch::channel(false);
        let address = upstream(move |stream| serve(stream, curtain.clone())).await;
        Self { address, cue }
    }

    /// Lets every open answer come to its end.
    pub(crate) fn finish(&self) {
        self.cue.send_replace(true);
    }
}

async fn serve(mut stream: TcpStream, mut curtain: watch::Receiver<bool>) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let done = match path {
            "/stream" => events(&mut stream, &mut curtain).await,
            "/hold" => {
                let _ = curtain.wait_for(|over| *over).await.is_ok();
                answer(&mut stream).await
            }
            "/ws" => return echo(&mut stream).await.unwrap_or_default(),
            _ => answer(&mut stream).await,
        };
        if done.is_err() {
            return;
        }
    }
}

async fn answer(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
        .await
}

async fn events(
    stream: &mut TcpStream,
    curtain: &mut watch::Receiver<bool>,
) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    while !*curtain.borrow() {
        stream.write_all(b"9\r\ndata: x\n\n\r\n").await?;
        let pause = Duration::from_millis(5);
        let _ = tokio::time::timeout(pause, curtain.changed()).await;
    }
    stream.write_all(b"0\r\n\r\n").await
}

async fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n")
        .await?;
    let mut buf = [0; 1024];
    loop {
        let count = stream.read(&mut buf).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..count]).await?;
    }
}
