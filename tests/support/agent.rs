//! A SPIFFE agent that says what a test wants, also what no agent says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server;
use http::{HeaderMap, Response};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::pki::{Pair, TestPki, client, uri};

/// What the agent says, until it says something else.
#[derive(Clone, Debug)]
pub enum Saying {
    /// Ends the call with this gRPC status.
    Status(u8),
    /// One message.
    Message(Vec<u8>),
    /// One message, and the end of the call.
    Brief(Vec<u8>),
    /// Bytes that need not be a message.
    Raw(Vec<u8>),
    /// Nothing.
    Silence,
}

pub struct Agent {
    pub socket: PathBuf,
    say: watch::Sender<Saying>,
    calls: Arc<AtomicUsize>,
    dir: TempDir,
}

impl Agent {
    /// Its socket is not there yet.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            socket: dir.path().join("agent.sock"),
            say: watch::Sender::new(Saying::Silence),
            calls: Arc::default(),
            dir,
        }
    }

    /// From now on it answers calls.
    pub fn listen(&self) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        let (say, calls) = (self.say.subscribe(), Arc::clone(&self.calls));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, say.clone()));
            }
        });
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn say(&self, saying: Saying) {
        self.say.send_replace(saying);
    }

    /// The setting of a listener that asks this agent.
    pub fn setting(&self) -> String {
        format!("spiffe = \"unix:{}\"", self.socket.display())
    }
}

async fn serve(stream: UnixStream, say: watch::Receiver<Saying>) {
    let Ok(mut connection) = server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchX509SVID");
        assert_eq!(request.headers()["workload.spiffe.io"], "true");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        tokio::spawn(answer(respond, say.clone()));
    }
}

async fn answer(mut respond: server::SendResponse<Bytes>, mut say: watch::Receiver<Saying>) {
    let mut body: Option<h2::SendStream<Bytes>> = None;
    loop {
        let saying = say.borrow_and_update().clone();
        let bytes = match saying {
            Saying::Silence => None,
            Saying::Raw(bytes) => Some(bytes),
            Saying::Brief(message) => {
                let head = Response::builder().header("content-type", "application/grpc");
                let head = head.body(()).unwrap();
                let Ok(mut body) = respond.send_response(head, false) else {
                    return;
                };
                let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                let _ = body.send_data([&[0][..], &length, &message].concat().into(), false);
                let mut fields = HeaderMap::new();
                fields.insert("grpc-status", "0".parse().unwrap());
                let _ = body.send_trailers(fields);
                return;
            }
            Saying::Message(message) => {
                let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                Some([&[0][..], &length, &message].concat())
            }
            Saying::Status(code) => {
                let mut fields = HeaderMap::new();
                fields.insert("grpc-status", code.to_string().parse().unwrap());
                fields.insert("grpc-message", "no identity issued".parse().unwrap());
                if let Some(mut body) = body {
                    let _ = body.send_trailers(fields);
                } else {
                    let mut head = Response::new(());
                    *head.headers_mut() = fields;
                    let _ = respond.send_response(head, true);
                }
                return;
            }
        };
        if let Some(bytes) = bytes {
            if body.is_none() {
                let head = Response::builder().header("content-type", "application/grpc");
                body = respond.send_response(head.body(()).unwrap(), false).ok();
            }
            let Some(body) = &mut body else { return };
            if body.send_data(bytes.into(), false).is_err() {
                return;
            }
        }
        if say.changed().await.is_err() {
            return;
        }
    }
}

/// A workload's certificate with this ID, good for servers and clients.
pub fn svid(pki: &TestPki, id: &str) -> Pair {
    let mut params = client(&[uri(id), SanType::DnsName("localhost".try_into().unwrap())]);
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    pki.issue(&params)
}

/// An answer with several identities, each with its hint.
pub fn identities(several: &[(&str, &Pair, &str)], bundle: &str) -> Saying {
    let each = several.iter();
    let each = each.map(|(id, pair, hint)| field(1, &svid_message(id, pair, bundle, hint)));
    Saying::Message(each.collect::<Vec<_>>().concat())
}

fn svid_message(id: &str, pair: &Pair, bundle: &str, hint: &str) -> Vec<u8> {
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let svid = [
        field(1, id.as_bytes()),
        field(2, &ders(&pair.cert)),
        field(3, key.secret_der()),
        field(4, &ders(bundle)),
        field(5, hint.as_bytes()),
    ];
    svid.concat()
}

/// An answer with one identity.
pub fn identity(id: &str, pair: &Pair, bundle: &str, federated: &[(&str, &str)]) -> Saying {
    let mut message = field(1, &svid_message(id, pair, bundle, "hint"));
    for (domain, bundle) in federated {
        let entry = [field(1, domain.as_bytes()), field(2, &ders(bundle))];
        message.extend(field(3, &entry.concat()));
    }
    Saying::Message(message)
}

/// The same with revocation lists, which are PEM here, or bytes that need be none.
pub fn with_lists(saying: Saying, lists: &[&[u8]]) -> Saying {
    let Saying::Message(mut message) = saying else {
        panic!("no answer: {saying:?}");
    };
    for list in lists {
        let der = CertificateRevocationListDer::from_pem_slice(list);
        let bytes = der.map_or_else(|_| list.to_vec(), |der| der.to_vec());
        message.extend(field(2, &bytes));
    }
    Saying::Message(message)
}

fn ders(pem: &str) -> Vec<u8> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    certificates.flat_map(|der| der.unwrap().to_vec()).collect()
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut wire = vec![number << 3 | 2];
    let mut length = value.len();
    while length > 0x7f {
        wire.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    wire.push(length as u8);
    wire.extend_from_slice(value);
    wire
}
