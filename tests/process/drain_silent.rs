//! Clients that ask for nothing hold no drain up: with a drain of 15 s, each of these used to be cut at its end or
//! to take all of it.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Setup;
use crate::support::process::Process;
use crate::support::stage::Stage;

const DRAIN: &str = "[drain]\ndelay = \"0s\"\ntimeout = \"15s\"";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// A client that has come so far and does nothing more, whatever it is told.
struct Silent {
    what: &'static str,
    listener: &'static str,
    /// `None`: it has not begun its handshake.
    alpn: Option<&'static str>,
    said: &'static [u8],
}

const CLIENTS: [Silent; 5] = [
    Silent {
        what: "an HTTP/2 client that answers no ping",
        listener: "",
        alpn: Some("h2"),
        said: PREFACE,
    },
    Silent {
        what: "an HTTP/2 client without a preface",
        listener: "",
        alpn: Some("h2"),
        said: b"",
    },
    Silent {
        what: "half a preface",
        listener: "",
        alpn: Some("h2"),
        said: b"PRI * HTTP/2.0\r\n",
    },
    Silent {
        what: "a head that was begun",
        listener: "",
        alpn: Some("http/1.1"),
        said: b"GET / HTTP/1.1\r\nhost: a\r\n",
    },
    Silent {
        what: "no PROXY header",
        listener: "proxy-protocol-from = [\"127.0.0.1\"]",
        alpn: None,
        said: b"PROXY TCP4 ",
    },
];

impl Silent {
    async fn holds_no_drain_up(&self) {
        let stage = Stage::new().await;
        let setup = Setup::in_front_of(stage.address)
            .process(DRAIN)
            .listener(self.listener)
            .timeouts("head-timeout = \"1m\"")
            .tls("handshake-timeout = \"1m\"");
        let process = Process::start(&setup).await;
        let (mut plain, mut secured) = (None, None);
        if let Some(alpn) = self.alpn {
            let stream = secured.insert(process.connect(&[alpn]).await);
            stream.write_all(self.said).await.unwrap();
        } else {
            let stream = plain.insert(TcpStream::connect(process.address).await.unwrap());
            stream.write_all(self.said).await.unwrap();
        }
        process
            .metric_reaches("hybridge_connections_open", &[], 1.0)
            .await;
        process.signal(Signal::TERM);
        // It reads, so that what it is told is acknowledged, and says nothing.
        if let Some(mut stream) = secured {
            tokio::spawn(async move {
                let _ = stream.read_to_end(&mut Vec::new()).await;
                std::future::pending::<()>().await;
            });
        }
        let (code, log) = process.ended().await;
        assert_eq!(code, Some(0), "{}: {log}", self.what);
        for sign in ["was cut", "were cut"] {
            assert!(!log.contains(sign), "{}: {log}", self.what);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_ask_for_nothing_hold_no_drain_up() {
    // Side by side: most of it is waiting.
    futures_util::future::join_all(CLIENTS.iter().map(Silent::holds_no_drain_up)).await;
}
