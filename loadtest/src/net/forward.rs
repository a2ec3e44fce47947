//! Two sockets and nothing between them: what the kernel alone takes of a proxy's CPU time.

use std::io;
use std::net::SocketAddr;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

use super::accept::accept;

/// As much as a proxy reads of a bulk at once.
const BUFFER: usize = 64 * 1024;

/// Forwards each connection until both directions have ended.
pub async fn serve(listener: TcpListener, to: SocketAddr) -> io::Result<()> {
    loop {
        let client = accept(&listener).await?;
        tokio::spawn(async move {
            // The load test sees a connection that broke.
            let _ = forward(client, to).await;
        });
    }
}

async fn forward(mut client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_cross_both_ways_and_ends_too() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = between.local_addr().unwrap();
        tokio::spawn(serve(between, to));
        let mut client = TcpStream::connect(address).await.unwrap();
        let sent = vec![7; 300_000];
        let (mut read, mut write) = client.split();
        let mut received = Vec::new();
        let writing = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let ((), read) = tokio::join!(writing, read.read_to_end(&mut received));
        read.unwrap();
        assert_eq!(received, sent);
    }
}
