//! OpenSSL as the server of an egress: what it is told to accept, what it says it got.
// A name of OpenSSL has no safe binding in the `openssl` crate.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use foreign_types_shared::ForeignTypeRef as _;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use crate::support::DEADLINE;
use crate::support::pki::Pair;

/// What the server does with a connection once there is TLS.
#[derive(Clone, Copy)]
pub enum Act {
    /// Sends back what comes, to the client's end.
    Echo,
    /// Sends so many bytes, and closes the socket without close_notify.
    Cut(usize),
    /// Reads once, and sends a record that does not open.
    Garble,
}

/// What the server accepts.
#[derive(Clone)]
pub struct Server {
    pair: Pair,
    groups: Option<String>,
    clients: Option<String>,
    insists: bool,
    signatures: Option<&'static str>,
    alpn: Option<&'static [u8]>,
    tls12: bool,
    act: Act,
}

/// A handshake as OpenSSL saw it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// By OpenSSL's name.
    pub group: String,
    pub resumed: bool,
    /// The subject of the client's certificate.
    pub client: Option<String>,
}

/// The server, listening; its thread ends with the process.
pub struct Listening {
    pub address: SocketAddr,
    seen: Arc<Mutex<Receiver<Seen>>>,
    context: Arc<Mutex<SslContext>>,
}

impl Server {
    pub fn new(pair: &Pair) -> Self {
        Self {
            pair: pair.clone(),
            groups: None,
            clients: None,
            insists: true,
            signatures: None,
            alpn: None,
            tls12: false,
            act: Act::Echo,
        }
    }

    /// Groups in OpenSSL's notation.
    pub fn groups(mut self, list: &str) -> Self {
        self.groups = Some(list.to_owned());
        self
    }

    /// Clients need a certificate of this CA (PEM).
    pub fn asking(mut self, ca: &str) -> Self {
        self.clients = Some(ca.to_owned());
        self
    }

    /// They may come without one.
    pub fn optional(mut self) -> Self {
        self.insists = false;
        self
    }

    /// What it verifies, in OpenSSL's notation.
    pub fn verifying(mut self, signatures: &'static str) -> Self {
        self.signatures = Some(signatures);
        self
    }

    /// Speaks only this protocol inside TLS, in the form of the wire.
    pub fn speaking(mut self, protocol: &'static [u8]) -> Self {
        self.alpn = Some(protocol);
        self
    }

    pub fn tls12_only(mut self) -> Self {
        self.tls12 = true;
        self
    }

    pub fn act(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    pub fn listen(&self) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = channel();
        let context = Arc::new(Mutex::new(self.context()));
        let (current, act) = (Arc::clone(&context), self.act);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let ssl = Ssl::new(&current.lock().unwrap()).unwrap();
                let sender = sender.clone();
                thread::spawn(move || serve(socket, ssl, &sender, act));
            }
        });
        Listening {
            address,
            seen: Arc::new(Mutex::new(seen)),
            context,
        }
    }

    fn context(&self) -> SslContext {
        let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
        let mut chain = X509::stack_from_pem(self.pair.cert.as_bytes())
            .unwrap()
            .into_iter();
        context.set_certificate(&chain.next().unwrap()).unwrap();
        for certificate in chain {
            context.add_extra_chain_cert(certificate).unwrap();
        }
        let key = PKey::private_key_from_pem(self.pair.key.as_bytes()).unwrap();
        context.set_private_key(&key).unwrap();
        context.set_session_id_context(b"egress").unwrap();
        if self.tls12 {
            let newest = Some(SslVersion::TLS1_2);
            context.set_max_proto_version(newest).unwrap();
        }
        if let Some(list) = &self.groups {
            context.set_groups_list(list).unwrap();
        }
        if let Some(ca) = &self.clients {
            let mut store = X509StoreBuilder::new().unwrap();
            for certificate in X509::stack_from_pem(ca.as_bytes()).unwrap() {
                store.add_cert(certificate).unwrap();
            }
            context.set_cert_store(store.build());
            let mut mode = SslVerifyMode::PEER;
            mode.set(SslVerifyMode::FAIL_IF_NO_PEER_CERT, self.insists);
            context.set_verify(mode);
        }
        if let Some(list) = self.signatures {
            context.set_sigalgs_list(list).unwrap();
        }
        if let Some(protocol) = self.alpn {
            context.set_alpn_select_callback(move |_, offered| {
                openssl::ssl::select_next_proto(protocol, offered)
                    .ok_or(openssl::ssl::AlpnError::ALERT_FATAL)
            });
        }
        context.build()
    }
}

impl Listening {
    /// The next handshake that completed.
    pub async fn seen(&self) -> Seen {
        let seen = Arc::clone(&self.seen);
        let next = move || seen.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        tokio::task::spawn_blocking(next).await.unwrap()
    }

    /// Accepts this from now on.
    pub fn becomes(&self, server: &Server) {
        *self.context.lock().unwrap() = server.context();
    }
}

fn serve(socket: TcpStream, ssl: Ssl, sender: &Sender<Seen>, act: Act) {
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let Ok(mut stream) = ssl.accept(socket) else {
        return;
    };
    let _ = sender.send(seen(&stream));
    match act {
        Act::Echo => {
            let mut buf = [0; 16 * 1024];
            while let Ok(count @ 1..) = stream.read(&mut buf) {
                if stream.write_all(&buf[..count]).is_err() {
                    return;
                }
            }
            let _ = stream.shutdown();
        }
        Act::Garble => {
            let _ = stream.read(&mut [0; 1024]);
            let record = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
            let _ = stream.get_mut().write_all(&record);
            let _ = stream.get_mut().read_to_end(&mut Vec::new());
        }
        Act::Cut(bytes) => {
            let _ = stream.write_all(&vec![7; bytes]);
            // The socket ends, TLS does not.
            let _ = stream.get_ref().shutdown(std::net::Shutdown::Write);
            let _ = stream.get_mut().read_to_end(&mut Vec::new());
        }
    }
}

fn seen(stream: &SslStream<TcpStream>) -> Seen {
    let ssl = stream.ssl();
    // A static text that belongs to OpenSSL; null only before the key exchange.
    let group = unsafe { CStr::from_ptr(openssl_sys::SSL_get0_group_name(ssl.as_ptr())) };
    let client = ssl.peer_certificate().map(|certificate| {
        let names = certificate.subject_name().entries();
        names
            .map(|entry| entry.data().to_string().unwrap())
            .collect()
    });
    Seen {
        group: group.to_str().unwrap().to_owned(),
        resumed: ssl.session_reused(),
        client,
    }
}
