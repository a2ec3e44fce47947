//! A thousand handshakes, each spoiled at random: none panics, each is answered with an alert or
//! closed, each connection is counted. Every failure names the seed that repeats it.

use std::io::Cursor;
use std::sync::Arc;

use rustls::ClientConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Setup, Sidecar, answering, client_config, hello, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const HELLOS: u64 = 800;
const FINISHED: u64 = 200;

/// xorshift64*: the same for the same seed everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        match self.next() % 4 {
            0 => 0,
            1 => 0xff,
            2 => 1,
            _ => self.next() as u8,
        }
    }

    /// A part of what is that long: rarely a large one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let begin = self.below(length);
        let most = [1, 2, 4, 16, 300][self.below(5)];
        begin..(begin + 1 + self.below(most)).min(length)
    }

    /// One to four changes.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let range = self.range(bytes.len());
            match self.below(8) {
                0 => bytes[range.start] ^= 1 << self.below(8),
                1 => bytes[range].fill(self.byte()),
                2 => drop(bytes.drain(range)),
                3 => {
                    let twice = bytes[range.clone()].to_vec();
                    drop(bytes.splice(range.start..range.start, twice));
                }
                4 => bytes.truncate(range.end),
                5 => self.cut_record(bytes),
                6 => {
                    let content = [20, 21, 22, 23, 24, 99][self.below(6)];
                    let length = self.below(5);
                    let record = [content, 3, 3, 0, length as u8];
                    let at = [0, bytes.len()][self.below(2)];
                    let tail = (0..length).map(|_| self.byte());
                    let record: Vec<_> = record.into_iter().chain(tail).collect();
                    drop(bytes.splice(at..at, record));
                }
                // What follows the first record is part of it, or the other way round.
                _ => {
                    if let Some(low) = bytes.get_mut(4) {
                        *low ^= 7;
                    }
                }
            }
            if bytes.is_empty() {
                bytes.push(self.byte());
            }
        }
    }

    /// The first record becomes two.
    fn cut_record(&mut self, bytes: &mut Vec<u8>) {
        let Some(&[kind, major, minor, high, low]) = bytes.first_chunk() else {
            return;
        };
        let length = usize::from(u16::from_be_bytes([high, low])).min(bytes.len() - 5);
        let first = self.below(length + 1);
        let header = |length: usize| {
            let [high, low] = (length as u16).to_be_bytes();
            [kind, major, minor, high, low]
        };
        let (begin, rest) = (bytes[5..5 + first].to_vec(), bytes[5 + first..].to_vec());
        *bytes = [&header(first)[..], &begin, &header(length - first), &rest].concat();
    }
}

/// Sends and half-closes; everything that comes back.
async fn ends(stream: &mut TcpStream, bytes: &[u8], seed: u64) -> Vec<u8> {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(crate::support::DEADLINE, stream.read_to_end(&mut answer));
    assert!(ended.await.is_ok(), "seed {seed}: not closed");
    answer
}

/// Whole records of known types, or the words for a client that spoke plain HTTP.
fn well_formed(mut answer: &[u8], seed: u64) {
    if answer.starts_with(b"HTTP/1.1 400 ") {
        return;
    }
    while let Some((&[kind, 3, _, high, low], rest)) = answer.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        assert!((20..=23).contains(&kind), "seed {seed}: {kind}");
        assert!(length > 0 && length <= rest.len(), "seed {seed}: {length}");
        answer = &rest[length..];
    }
    assert!(answer.is_empty(), "seed {seed}: {answer:?}");
}

async fn each_is_counted(sidecar: &Sidecar, connections: u64) {
    let closed = "hybridge_connections_total";
    sidecar
        .metric_reaches(closed, &[], connections as f64)
        .await;
    sidecar
        .metric_is("hybridge_connections_open", &[], 0.0)
        .await;
    let failed = sidecar
        .metric("hybridge_handshake_failures_total", &[])
        .await;
    let completed = sidecar.metric("hybridge_handshakes_total", &[]).await;
    assert_eq!(failed + completed, connections as f64);
    assert_eq!(sidecar.metric("hybridge_panics_total", &[]).await, 0.0);
    let internal = [("reason", "internal")];
    let internal = sidecar.metric("hybridge_handshake_failures_total", &internal);
    assert_eq!(internal.await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_hello_is_an_alert_or_an_end_and_a_count() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await).start();
    let hellos = [hello::hybrid(), hello::classical()];
    for seed in 0..HELLOS {
        let mut random = Random::new(seed);
        let mut bytes = hellos[random.below(2)].clone();
        random.spoil(&mut bytes);
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        let answer = ends(&mut stream, &bytes, seed).await;
        well_formed(&answer, seed);
    }
    each_is_counted(&sidecar, HELLOS).await;
}

/// A client up to the flight with its Finished.
async fn finished(sidecar: &Sidecar) -> (TcpStream, Vec<u8>) {
    let config = Arc::new(client_config(&sidecar.ca, &["http/1.1"]));
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(config, name).unwrap();
    let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
    let mut flight = Vec::new();
    client.write_tls(&mut flight).unwrap();
    stream.write_all(&flight).await.unwrap();
    while client.is_handshaking() {
        let mut received = vec![0; 4096];
        let count = within(stream.read(&mut received)).await.unwrap();
        let mut received = Cursor::new(&received[..count]);
        while received.position() < count as u64 {
            client.read_tls(&mut received).unwrap();
            client.process_new_packets().unwrap();
        }
        flight.clear();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
    }
    (stream, flight)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_finished_is_an_alert_or_an_end_and_a_count() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await).start();
    for seed in 0..FINISHED {
        let mut random = Random::new(seed);
        let (mut stream, mut flight) = finished(&sidecar).await;
        random.spoil(&mut flight);
        let answer = ends(&mut stream, &flight, seed).await;
        well_formed(&answer, seed);
    }
    each_is_counted(&sidecar, FINISHED).await;
}
