//! A streamed chat completion (server-sent events): when each token arrives.

use std::io;

use super::Sample;
use crate::http::h1::H1;
use crate::net::socket::Socket;
use crate::net::stamp;
use crate::net::stream::Stream;

/// Tokens for which there is room from the start: a plan may ask for more than there is memory.
const MOST_EXPECTED: usize = 1 << 16;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) model: &'a str,
    pub(super) tokens: u32,
    pub(super) interval_us: u64,
}

/// Asks for tokens and notes the time to the first and the gaps between them; the number of tokens. How late a token is
/// can be told only of a backend that keeps the interval it was asked for, which it shows by stamping its tokens; a real
/// model server promises no interval, and may end its answer before the last token asked for.
pub(super) async fn run(
    h1: &mut H1<Stream<Socket>>,
    authority: &str,
    wanted: &Wanted<'_>,
    sample: &mut Sample,
) -> io::Result<u64> {
    let start = stamp::now();
    let request = request(authority, wanted);
    let head = h1.ask(request.as_bytes(), 0).await?;
    if head.status != 200 {
        return Err(io::Error::other(format!(
            "/v1/chat/completions answered {}",
            head.status
        )));
    }
    let mut body = head.body;
    let mut events = Events::default();
    let mut promised = false;
    let expected = (wanted.tokens as usize).min(MOST_EXPECTED);
    let mut reads = Vec::with_capacity(expected);
    let mut ways = Vec::with_capacity(expected);
    while let Some(piece) = h1.piece(&mut body).await? {
        let now = stamp::now();
        let found = events.push(piece)?;
        // The way ends at the client's socket: what this process is busy with is no delay of the proxy.
        let arrived = h1.stream.io().arrived().unwrap_or(now);
        for token in found {
            promised |= token.stamped;
            ways.extend(token.sent.map(|sent| arrived.saturating_sub(sent)));
            reads.push(now);
        }
    }
    let tokens = reads.len() as u64;
    if tokens == 0 || (promised && tokens < u64::from(wanted.tokens)) {
        return Err(io::Error::other(format!(
            "{tokens} tokens of {}",
            wanted.tokens
        )));
    }
    // Of a stream that breaks nothing is in the sample, as of any other operation that fails.
    sample.first.extend(reads.first().map(|read| read - start));
    sample
        .gap
        .extend(reads.windows(2).map(|pair| pair[1] - pair[0]));
    // Tokens that are due all at once wait for each other, which is nobody's delay.
    if wanted.interval_us > 0 && promised {
        if ways.len() == reads.len() {
            sample.late.append(&mut ways);
        } else {
            delays(&reads, wanted.interval_us, &mut sample.late);
        }
    }
    Ok(tokens)
}

/// How long after its turn each token was read, nanoseconds, for a backend on another machine, whose clock is another. The turns
/// follow each other by the interval; when the first was due is not told, so the token that was read earliest against them
/// counts as punctual.
fn delays(reads: &[u64], interval_us: u64, late: &mut Vec<u64>) {
    let interval = i128::from(interval_us) * 1000;
    let offset = |(turn, moment): (usize, &u64)| i128::from(*moment) - interval * turn as i128;
    let offsets = || reads.iter().enumerate().map(offset);
    let best = offsets().min().unwrap_or(0);
    late.extend(offsets().map(|offset| (offset - best) as u64));
}

fn request(authority: &str, wanted: &Wanted<'_>) -> String {
    let body = format!(
        "{{\"model\":{},\"stream\":true,\"max_tokens\":{},\"hybridge_interval_ms\":{},\
         \"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}",
        serde_json::Value::from(wanted.model),
        wanted.tokens,
        wanted.interval_us as f64 / 1000.0,
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An event that carries a token.
struct Token {
    /// When it was sent, if it says so and its clock is ours.
    sent: Option<u64>,
    /// It carries a stamp, of whatever machine.
    stamped: bool,
}

/// Bytes of a line of the stream, and of an event's data, at most.
const LARGEST_EVENT: usize = 1 << 20;

/// Counts events with data as they become whole; `[DONE]` and comments are none, nor is an event without content.
#[derive(Debug, Default)]
struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    sent: Option<u64>,
    stamped: bool,
}

impl Events {
    /// The tokens that become whole.
    fn push(&mut self, piece: &[u8]) -> io::Result<Vec<Token>> {
        let mut found = Vec::new();
        for byte in piece {
            match byte {
                b'\n' => found.extend(self.end_line()),
                b'\r' => {}
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() > LARGEST_EVENT {
                return Err(io::Error::other(
                    "an event of the stream is larger than 1 MiB",
                ));
            }
        }
        Ok(found)
    }

    /// The token that the line made whole.
    fn end_line(&mut self) -> Option<Token> {
        if self.line.is_empty() {
            let (data, sent) = (std::mem::take(&mut self.data), self.sent.take());
            let stamped = std::mem::take(&mut self.stamped);
            return is_token(&data).then_some(Token { sent, stamped });
        }
        if let Some(data) = self.line.strip_prefix(b"data:") {
            self.data.extend_from_slice(data.trim_ascii());
        }
        if let Some(id) = self.line.strip_prefix(b"id:") {
            let id = std::str::from_utf8(id.trim_ascii()).unwrap_or_default();
            self.sent = stamp::read(id);
            self.stamped = stamp::is_stamp(id);
        }
        self.line.clear();
        None
    }
}

/// The first event of a completion names the role and the last says why it ended: neither carries a token.
fn is_token(data: &[u8]) -> bool {
    if data.is_empty() || data == b"[DONE]" {
        return false;
    }
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(data) else {
        return true;
    };
    match event.pointer("/choices/0/delta") {
        Some(delta) => delta
            .get("content")
            .is_some_and(|content| content.as_str() != Some("")),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_late_against_the_clock_of_its_stream() {
        let at = |us: &[u64]| -> Vec<u64> {
            let reads: Vec<_> = us.iter().map(|us| us * 1000).collect();
            let mut late = Vec::new();
            delays(&reads, 20_000, &mut late);
            late.iter().map(|ns| ns / 1000).collect()
        };
        assert_eq!(at(&[0, 20_000, 40_000]), [0, 0, 0]);
        assert_eq!(at(&[0, 25_000, 40_000, 61_000]), [0, 5000, 0, 1000]);
        // A first token that is slow makes no other one early.
        assert_eq!(at(&[3000, 20_000, 40_500]), [3000, 0, 500]);
        // One that is delayed for good stays late, though its gaps are as they should be.
        assert_eq!(at(&[0, 29_000, 49_000]), [0, 9000, 9000]);
    }

    #[test]
    fn events_are_counted_when_whole_and_the_end_mark_is_none() {
        let wire = b": ping\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"delta\":\
            {\"content\":\"b\"}}]}\r\n\r\ndata: [DONE]\n\n";
        for cut in [1, 3, 1000] {
            let mut events = Events::default();
            let found: usize = wire
                .chunks(cut)
                .map(|piece| events.push(piece).unwrap().len())
                .sum();
            assert_eq!(found, 2, "cut into {cut}");
        }
    }

    #[test]
    fn an_event_that_does_not_end_is_given_up() {
        let long = [b'x'; 1000];
        let mut line = Events::default();
        assert!((0..2000).any(|_| line.push(&long).is_err()));
        let mut data = Events::default();
        let lines = [b"data:", &long[..], b"\n"].concat();
        assert!((0..2000).any(|_| data.push(&lines).is_err()));
        let mut tokens = Events::default();
        let events = [&lines[..], b"\n"].concat();
        assert!((0..2000).all(|_| tokens.push(&events).is_ok()));
    }

    #[test]
    fn a_stamp_belongs_to_the_token_of_its_event() {
        let stamped = format!("id: {}\ndata: x\n\n", stamp::stamp());
        let found = Events::default()
            .push(format!("{stamped}data: y\n\n{stamped}").as_bytes())
            .unwrap();
        let known: Vec<_> = found.iter().map(|token| token.sent.is_some()).collect();
        assert_eq!(known, [true, false, true]);
    }
}
