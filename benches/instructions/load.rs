//! The operations: a client and a model server around the proxy, each step waiting for the one before,
//! so that the proxy does the same work in the same order every time.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, Semaphore};
use tokio_rustls::client::TlsStream;

use crate::origin::Origin;
use crate::proxy::Proxy;
use crate::scenario::Work;
use crate::support::http::{h2_exchange, h2_request, ok, read_chunk, read_head, read_response};
use crate::support::openssl::{Client, Connected, Finished};
use crate::support::{answer_each, read_head as read_request_head, upstream, within};

/// Bytes of a relayed message: they fit into the buffers of a connection, so that a proxy slowed down by valgrind
/// finds them there at once, and reads as much each time.
const PIECE: usize = 128 << 10;
/// Messages of a MiB.
const PIECES: u32 = 8;
const REQUEST: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n";
const STREAMED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\" a\"}}]}\n\n";
/// Bytes of an answer's body, and of an answer of the `tcp` exchange.
const ANSWER: usize = 1024;
/// Requests at the same time on one HTTP/2 connection.
const STREAMS: usize = 8;

/// The model server of one kind of operation.
pub(crate) struct Load {
    work: Work,
    pub(crate) app: SocketAddr,
    model: Arc<Model>,
    origin: Option<Origin>,
}

/// What the connections to the model server share.
struct Model {
    /// One permit for each token that may be sent.
    cue: Semaphore,
    /// Where the streams that are under way at the same time wait for each other.
    streams: Barrier,
    proxy: OnceLock<Pid>,
}

impl Load {
    pub(crate) async fn new(work: Work) -> Self {
        let model = Arc::new(Model {
            cue: Semaphore::new(0),
            streams: Barrier::new(STREAMS),
            proxy: OnceLock::new(),
        });
        let shared = Arc::clone(&model);
        let origin = match work {
            Work::Origination(group) => Some(Origin::new(group, false)),
            Work::ResumedOrigination(group) => Some(Origin::new(group, true)),
            _ => None,
        };
        let app = match &origin {
            Some(origin) => origin.listening.address,
            None => upstream(move |stream| serve(work, stream, Arc::clone(&shared))).await,
        };
        Self {
            work,
            app,
            model,
            origin,
        }
    }

    /// Whom the proxy is to trust as an egress, and how.
    pub(crate) fn egress(&self) -> Option<(&str, String)> {
        self.origin.as_ref().map(Origin::settings)
    }

    /// Carries out so many operations, one after the other, and closes what it opened.
    pub(crate) async fn carry_out(&self, proxy: &Proxy, times: u32) {
        if let Some(origin) = &self.origin {
            return origin.carry_out(proxy, times).await;
        }
        self.model.proxy.get_or_init(|| proxy.pid());
        match self.work {
            Work::Handshake(group) => handshakes(proxy, group, times).await,
            Work::Resumption(group) => resumptions(proxy, group, times).await,
            Work::Origination(_) | Work::ResumedOrigination(_) => {}
            Work::Request => requests(proxy, times).await,
            Work::Token => self.tokens(proxy, times).await,
            Work::Streams => streams(proxy, times).await,
            Work::Exchange => swaps(proxy, REQUEST, ANSWER, times).await,
            Work::Download => swaps(proxy, b"g", PIECE, times * PIECES).await,
            Work::Upload => swaps(proxy, &vec![7; PIECE], 1, times * PIECES).await,
        }
    }

    async fn tokens(&self, proxy: &Proxy, times: u32) {
        let mut client = proxy.connect(&["http/1.1"]).await;
        client.write_all(REQUEST).await.unwrap();
        let head = within(read_head(&mut client)).await.unwrap().unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        for _ in 0..times {
            self.model.cue.add_permits(1);
            let token = within(read_chunk(&mut client)).await.unwrap().unwrap();
            assert_eq!(token, EVENT.as_bytes());
        }
        close(client).await;
    }
}

/// What the model server does with a connection.
async fn serve(work: Work, stream: TcpStream, model: Arc<Model>) {
    match work {
        Work::Handshake(_)
        | Work::Resumption(_)
        | Work::Origination(_)
        | Work::ResumedOrigination(_) => {}
        Work::Request => answer_each(stream, ok([b'x'; ANSWER])).await,
        Work::Streams => model.answer_together(stream).await,
        Work::Token => stream_tokens(stream, &model.cue).await,
        Work::Exchange => swap(stream, REQUEST.len(), ANSWER).await,
        Work::Download => swap(stream, 1, PIECE).await,
        Work::Upload => swap(stream, PIECE, 1).await,
    }
}

impl Model {
    /// Responds once every stream's request is here, and to all at once: the proxy does not run until the last
    /// response is written. How many it reads in one pass would else be a race, and each pass has its price.
    async fn answer_together(&self, mut stream: TcpStream) {
        let answer = ok([b'x'; ANSWER]);
        while read_request_head(&mut stream).await.is_some() {
            if self.streams.wait().await.is_leader() {
                self.signal(Signal::STOP);
            }
            self.streams.wait().await;
            let written = stream.write_all(answer.as_ref()).await;
            if self.streams.wait().await.is_leader() {
                self.signal(Signal::CONT);
            }
            if written.is_err() {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let proxy = self.proxy.get().expect("the proxy runs");
        kill_process(*proxy, signal).unwrap();
    }
}

async fn stream_tokens(mut stream: TcpStream, cue: &Semaphore) {
    if read_request_head(&mut stream).await.is_none() || stream.write_all(STREAMED).await.is_err() {
        return;
    }
    let chunk = format!("{:x}\r\n{EVENT}\r\n", EVENT.len());
    while let Ok(permit) = cue.acquire().await {
        permit.forget();
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// For so many bytes, so many bytes.
async fn swap(mut stream: TcpStream, received: usize, sent: usize) {
    let mut question = vec![0; received];
    let answer = vec![7; sent];
    while stream.read_exact(&mut question).await.is_ok() {
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn connect(client: &Client, proxy: &Proxy, group: &str) -> Connected {
    let connected = client.connect(proxy.address).await.unwrap();
    assert!(connected.group().eq_ignore_ascii_case(group));
    connected
}

fn client(group: &str) -> Client {
    Client::new().groups(group).alpn(&["http/1.1"])
}

async fn handshakes(proxy: &Proxy, group: &str, times: u32) {
    for _ in 0..times {
        let connected = connect(&client(group), proxy, group).await;
        assert!(!connected.is_resumed());
        connected.finish(b"").await;
    }
}

async fn resumptions(proxy: &Proxy, group: &str, times: u32) {
    let first = connect(&client(group), proxy, group).await;
    let Finished { mut sessions, .. } = first.finish(b"").await;
    for _ in 0..times {
        let session = sessions.pop().expect("each handshake gives a ticket");
        let connected = connect(&client(group).resuming(&session), proxy, group).await;
        assert!(connected.is_resumed());
        sessions = connected.finish(b"").await.sessions;
    }
}

async fn requests(proxy: &Proxy, times: u32) {
    let mut client = proxy.connect(&["http/1.1"]).await;
    for _ in 0..times {
        client.write_all(REQUEST).await.unwrap();
        let response = within(read_response(&mut client, false)).await.unwrap();
        assert_eq!((response.status(), response.body.len()), (200, ANSWER));
    }
    close(client).await;
}

async fn streams(proxy: &Proxy, times: u32) {
    let stream = proxy.connect(&["h2"]).await;
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let sender = sender.ready().await.unwrap();
    for _ in 0..times as usize / STREAMS {
        let ask = || {
            let (client, request) = (sender.clone(), h2_request("GET", "/v1/models"));
            tokio::spawn(async move {
                h2_exchange(&client, request.body(()).unwrap(), Bytes::new()).await
            })
        };
        for asked in (0..STREAMS).map(|_| ask()).collect::<Vec<_>>() {
            let (head, body, _) = within(asked).await.unwrap().unwrap();
            assert_eq!((head.status().as_u16(), body.len()), (200, ANSWER));
        }
    }
    drop(sender);
    within(connection).await.unwrap().unwrap();
}

async fn swaps(proxy: &Proxy, question: &[u8], answer: usize, times: u32) {
    let mut client = proxy.connect(&[]).await;
    let mut received = vec![0; answer];
    for _ in 0..times {
        client.write_all(question).await.unwrap();
        // What tokio-rustls could not send yet.
        client.flush().await.unwrap();
        within(client.read_exact(&mut received)).await.unwrap();
    }
    close(client).await;
}

/// Ends the own direction and waits for the end of the other.
async fn close(mut client: TlsStream<TcpStream>) {
    let _ = client.shutdown().await;
    let _ = within(client.read_to_end(&mut Vec::new())).await;
}
