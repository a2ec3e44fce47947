//! The block protocol of the raw TCP scenarios: 16 bytes of lengths (up, down; big endian), then `up` bytes one way
//! and `down` bytes the other, both at once. The far end is the tool's own.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpListener;

use crate::net::accept::accept;

const PIECE: usize = 64 * 1024;
static ZEROS: [u8; PIECE] = [0; PIECE];

/// One exchange, client side: done when the last byte down is here and the far end has taken the last byte up.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    up: u64,
    down: u64,
) -> io::Result<()> {
    let mut lengths = [0; 16];
    lengths[..8].copy_from_slice(&up.to_be_bytes());
    lengths[8..].copy_from_slice(&down.to_be_bytes());
    let (mut read, mut write) = split(stream);
    let send = async {
        write.write_all(&lengths).await?;
        fill(&mut write, up).await
    };
    let receive = async {
        swallow(&mut read, down).await?;
        // One byte says that everything has arrived.
        read.read_u8().await
    };
    tokio::try_join!(send, receive)?;
    Ok(())
}

/// The far end: serves exchanges on every connection until dropped.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let mut peer = accept(&listener).await?;
        // One that has gone already has none to set.
        peer.set_nodelay(true).ok();
        // A connection that ends is the client's business.
        tokio::spawn(async move { while respond(&mut peer).await.is_ok() {} });
    }
}

async fn respond<S: AsyncRead + AsyncWrite + Unpin>(peer: &mut S) -> io::Result<()> {
    let (up, down) = (peer.read_u64().await?, peer.read_u64().await?);
    let (mut read, mut write) = split(peer);
    tokio::try_join!(swallow(&mut read, up), fill(&mut write, down))?;
    write.write_u8(1).await?;
    write.flush().await
}

async fn fill(to: &mut (impl AsyncWrite + Unpin), mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let piece = bytes.min(PIECE as u64) as usize;
        to.write_all(&ZEROS[..piece]).await?;
        bytes -= piece as u64;
    }
    to.flush().await
}

async fn swallow(from: &mut (impl AsyncRead + Unpin), mut bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; PIECE.min(bytes.max(1) as usize)];
    while bytes > 0 {
        let piece = buffer
            .len()
            .min(usize::try_from(bytes).unwrap_or(usize::MAX));
        match from.read(&mut buffer[..piece]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes -= read as u64,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn exchanges_of_every_shape_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));
        let mut stream = TcpStream::connect(address).await.unwrap();
        for (up, down) in [(0, 0), (1, 0), (0, 1), (3_000_000, 2_000_000)] {
            exchange(&mut stream, up, down).await.unwrap();
        }
    }
}
