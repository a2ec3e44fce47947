#![allow(clippy::unwrap_used)]
use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// A pipe that holds `room` bytes, and what arrives at its other end.
fn pipe(room: usize) -> (CoalescingWriter<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(room);
    (
        CoalescingWriter::watching_ends(near, ResponseEnds::default()),
        far,
    )
}

fn write(
    to: &mut CoalescingWriter<DuplexStream>,
    cx: &mut Context<'_>,
    text: &[u8],
) -> Poll<usize> {
    let written = Pin::new(&mut *to).poll_write(cx, text).map(Result::unwrap);
    let flushed = Pin::new(to).poll_flush(cx);
    assert!(flushed.is_ready());
    written
}

#[tokio::test]
async fn what_is_said_in_a_turn_leaves_at_its_end_and_in_order() {
    let (corked, mut far) = pipe(64 * 1024);
    let mut stream = corked.handle();
    let big = vec![b'-'; MAX_BUFFERED];
    poll_fn(|cx| {
        corked.poll_batched(cx, |cx| {
            assert_eq!(write(&mut stream, cx, b"one "), Poll::Ready(4));
            assert_eq!(write(&mut stream, cx, b"two "), Poll::Ready(4));
            let mut seen = [0; 8];
            let mut seen = ReadBuf::new(&mut seen);
            assert!(Pin::new(&mut far).poll_read(cx, &mut seen).is_pending());
            // More than can be gathered: it leaves at once, behind what came before it.
            let written = Pin::new(&mut stream).poll_write(cx, &big);
            assert!(matches!(written, Poll::Ready(Ok(MAX_BUFFERED))));
            assert_eq!(write(&mut stream, cx, b" three"), Poll::Ready(6));
        });
        Poll::Ready(())
    })
    .await;
    let mut seen = vec![0; MAX_BUFFERED + 14];
    far.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, [b"one two ", &big[..], b" three"].concat());
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte_and_holds_up_the_writer() {
    let (corked, mut far) = pipe(1000);
    let mut stream = corked.handle();
    let sent: Vec<u8> = (0..400_000_u32).map(|at| (at % 251) as u8).collect();
    let all = sent.clone();
    let writing = tokio::spawn(async move {
        let mut at = 0;
        let mut most = 0;
        poll_fn(|cx| {
            corked.poll_batched(cx, |cx| {
                while let Some(piece) = all.get(at..(at + 700).min(all.len())) {
                    if piece.is_empty() {
                        return Poll::Ready(());
                    }
                    match Pin::new(&mut stream).poll_write(cx, piece) {
                        Poll::Ready(written) => at += written.unwrap(),
                        Poll::Pending => return Poll::Pending,
                    }
                    most = most.max(stream.inner().gathered.len());
                }
                Poll::Ready(())
            })
        })
        .await;
        stream.shutdown().await.unwrap();
        most
    });
    let mut seen = Vec::new();
    far.read_to_end(&mut seen).await.unwrap();
    assert!(seen == sent, "{} of {} bytes", seen.len(), sent.len());
    assert!(writing.await.unwrap() <= MAX_BUFFERED);
}

#[tokio::test]
async fn the_end_of_a_stream_comes_after_what_was_gathered() {
    let (corked, mut far) = pipe(100);
    let mut stream = corked.handle();
    poll_fn(|cx| {
        corked.poll_batched(cx, |cx| {
            assert_eq!(write(&mut stream, cx, b"last words"), Poll::Ready(10));
            Pin::new(&mut stream).poll_shutdown(cx).map(Result::unwrap)
        })
    })
    .await;
    let mut seen = Vec::new();
    far.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"last words");
}
