//! OpenSSL as the client: what it is told to offer, what it says it got, what it counted.
//!
//! Blocking inside, on a thread of its own; the callers await.
// Two names and two counters of OpenSSL have no safe binding in the `openssl` crate.
#![allow(unsafe_code)]

pub mod server;
mod wire;

use std::ffi::CStr;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use foreign_types_shared::ForeignTypeRef;
use openssl::pkey::PKey;
use openssl::ssl::{
    HandshakeError, Ssl, SslContext, SslMethod, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

pub use self::wire::Wire;
use super::DEADLINE;

/// What the client offers, and how it sends.
#[derive(Clone, Default)]
pub struct Client {
    groups: Option<String>,
    suites: Option<String>,
    signatures: Option<String>,
    alpn: Vec<&'static str>,
    trust: Option<Vec<u8>>,
    /// Chain and key as PEM.
    identity: Option<(String, String)>,
    tls12: bool,
    /// Instead of `localhost`.
    name: Option<&'static str>,
    session: Option<SslSession>,
    fragment: Option<u32>,
    byte_by_byte: bool,
}

impl Client {
    /// Offers OpenSSL's defaults and trusts anybody.
    pub fn new() -> Self {
        Self::default()
    }

    /// `supported_groups` in OpenSSL's notation: `*` marks those that get a key share.
    pub fn groups(mut self, list: &str) -> Self {
        self.groups = Some(list.to_owned());
        self
    }

    /// TLS 1.3 cipher suites.
    pub fn suites(mut self, list: &str) -> Self {
        self.suites = Some(list.to_owned());
        self
    }

    /// Signature schemes.
    pub fn signatures(mut self, list: &str) -> Self {
        self.signatures = Some(list.to_owned());
        self
    }

    pub fn alpn(mut self, protocols: &[&'static str]) -> Self {
        self.alpn = protocols.to_vec();
        self
    }

    /// Verifies the chain and the name `localhost` against this CA only.
    pub fn trusting(mut self, ca: &[u8]) -> Self {
        self.trust = Some(ca.to_vec());
        self
    }

    /// Verifies, and accepts no certificate.
    pub fn trusting_nobody(mut self) -> Self {
        self.trust = Some(Vec::new());
        self
    }

    /// Presents this chain, leaf first, and proves to have this key; both as PEM.
    pub fn presenting(mut self, chain: &str, key: &str) -> Self {
        self.identity = Some((chain.to_owned(), key.to_owned()));
        self
    }

    /// Asks for this name instead of `localhost`; for none if it is empty.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Offers no TLS 1.3.
    pub fn tls12_only(mut self) -> Self {
        self.tls12 = true;
        self
    }

    /// Asks for resumption.
    pub fn resuming(mut self, session: &SslSession) -> Self {
        self.session = Some(session.clone());
        self
    }

    /// Sends records of at most this many bytes: the hello takes several.
    pub fn fragments(mut self, bytes: u32) -> Self {
        self.fragment = Some(bytes);
        self
    }

    /// One TCP segment a byte.
    pub fn byte_by_byte(mut self) -> Self {
        self.byte_by_byte = true;
        self
    }

    /// Handshakes with a listener.
    pub async fn connect(&self, address: SocketAddr) -> Result<Connected, Refused> {
        let client = self.clone();
        blocking(move || client.connect_now(TcpStream::connect(address).unwrap())).await
    }

    /// Handshakes over a socket that is connected already.
    pub async fn connect_over(&self, socket: TcpStream) -> Result<Connected, Refused> {
        let client = self.clone();
        blocking(move || client.connect_now(socket)).await
    }

    fn connect_now(&self, socket: TcpStream) -> Result<Connected, Refused> {
        socket.set_nodelay(true).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let sessions = Arc::default();
        let mut ssl = Ssl::new(&self.context(&sessions)).unwrap();
        match self.name.unwrap_or("localhost") {
            "" => {}
            name => ssl.set_hostname(name).unwrap(),
        }
        if self.trust.is_some() {
            ssl.param_mut().set_host("localhost").unwrap();
        }
        if let Some(session) = &self.session {
            // The session was made by a context of the same settings, which OpenSSL asks for.
            unsafe { ssl.set_session(session).unwrap() };
        }
        let wire = Wire {
            socket,
            byte_by_byte: self.byte_by_byte,
            received: Vec::new(),
            sent: 0,
        };
        match ssl.connect(wire) {
            Ok(stream) => Ok(Connected { stream, sessions }),
            Err(HandshakeError::Failure(broken)) => Err(Refused {
                alert: alert_of(broken.error()),
                error: broken.error().to_string(),
                received: broken.get_ref().received.clone(),
            }),
            Err(other) => panic!("{other}"),
        }
    }

    fn context(&self, sessions: &Arc<Mutex<Vec<SslSession>>>) -> SslContext {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        if self.tls12 {
            let newest = Some(SslVersion::TLS1_2);
            context.set_max_proto_version(newest).unwrap();
        }
        if let Some(list) = &self.groups {
            context.set_groups_list(list).unwrap();
        }
        if let Some(list) = &self.suites {
            context.set_ciphersuites(list).unwrap();
        }
        if let Some(list) = &self.signatures {
            context.set_sigalgs_list(list).unwrap();
        }
        if !self.alpn.is_empty() {
            let one = |name: &&str| [&[name.len() as u8], name.as_bytes()].concat();
            let list: Vec<u8> = self.alpn.iter().flat_map(one).collect();
            context.set_alpn_protos(&list).unwrap();
        }
        match &self.trust {
            None => context.set_verify(SslVerifyMode::NONE),
            Some(ca) => {
                let mut store = X509StoreBuilder::new().unwrap();
                for certificate in X509::stack_from_pem(ca).unwrap() {
                    store.add_cert(certificate).unwrap();
                }
                context.set_cert_store(store.build());
                context.set_verify(SslVerifyMode::PEER);
            }
        }
        if let Some((chain, key)) = &self.identity {
            let mut chain = X509::stack_from_pem(chain.as_bytes()).unwrap().into_iter();
            context.set_certificate(&chain.next().unwrap()).unwrap();
            for certificate in chain {
                context.add_extra_chain_cert(certificate).unwrap();
            }
            let key = PKey::private_key_from_pem(key.as_bytes()).unwrap();
            context.set_private_key(&key).unwrap();
        }
        if let Some(bytes) = self.fragment {
            const SET_MAX_SEND_FRAGMENT: i32 = 52;
            // A control number of SSL_CTX_ctrl(3) that takes a length and no pointer.
            let set = unsafe {
                openssl_sys::SSL_CTX_ctrl(
                    context.as_ptr(),
                    SET_MAX_SEND_FRAGMENT,
                    bytes.into(),
                    std::ptr::null_mut(),
                )
            };
            assert_eq!(set, 1);
        }
        // Without a cache inside: its end would make the sessions of a closed connection unusable.
        context
            .set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        let sessions = Arc::clone(sessions);
        context.set_new_session_callback(move |_, session| sessions.lock().unwrap().push(session));
        context.build()
    }
}

/// A completed handshake, as OpenSSL sees it.
pub struct Connected {
    pub stream: SslStream<Wire>,
    sessions: Arc<Mutex<Vec<SslSession>>>,
}

impl Connected {
    /// The negotiated group by OpenSSL's name.
    pub fn group(&self) -> String {
        // A static text that belongs to OpenSSL; null only before the key exchange.
        let name =
            unsafe { CStr::from_ptr(openssl_sys::SSL_get0_group_name(self.stream.ssl().as_ptr())) };
        name.to_str().unwrap().to_owned()
    }

    /// The scheme of the server's signature by OpenSSL's name.
    pub fn signature(&self) -> String {
        const GET_PEER_SIGNATURE_NAME: i32 = 141;
        let mut name: *const std::ffi::c_char = std::ptr::null();
        // A control number of SSL_ctrl(3) that takes a place for a static text.
        let name = unsafe {
            let found = openssl_sys::SSL_ctrl(
                self.stream.ssl().as_ptr(),
                GET_PEER_SIGNATURE_NAME,
                0,
                (&raw mut name).cast(),
            );
            assert_eq!(found, 1);
            CStr::from_ptr(name)
        };
        name.to_str().unwrap().to_owned()
    }

    /// The subject of the server's certificate.
    pub fn subject(&self) -> String {
        let certificate = self.stream.ssl().peer_certificate().unwrap();
        let names = certificate.subject_name().entries();
        let texts = names.map(|entry| entry.data().to_string().unwrap());
        texts.collect()
    }

    pub fn suite(&self) -> &'static str {
        self.stream
            .ssl()
            .current_cipher()
            .unwrap()
            .standard_name()
            .unwrap()
    }

    pub fn is_resumed(&self) -> bool {
        self.stream.ssl().session_reused()
    }

    /// Bytes that OpenSSL has written to the connection, by its own counter.
    pub fn written(&self) -> u64 {
        // The connection owns the BIO, and it lives.
        let by_openssl =
            unsafe { BIO_number_written(openssl_sys::SSL_get_wbio(self.stream.ssl().as_ptr())) };
        assert_eq!(by_openssl, self.stream.get_ref().sent);
        by_openssl
    }

    /// Bytes that OpenSSL has read from the connection, by its own counter.
    pub fn read(&self) -> u64 {
        // As above.
        let by_openssl =
            unsafe { BIO_number_read(openssl_sys::SSL_get_rbio(self.stream.ssl().as_ptr())) };
        assert_eq!(by_openssl, self.stream.get_ref().received.len() as u64);
        by_openssl
    }

    /// Sends a request and reads the whole answer, or the alert: in TLS 1.3 a client is connected before
    /// the server has verified its certificate.
    pub async fn exchange(mut self, request: &'static [u8]) -> Result<Finished, Option<u8>> {
        let verified = blocking(move || {
            let _ = self.stream.ssl_write(request);
            let mut first = [0; 1];
            let read = self.stream.ssl_peek(&mut first);
            (self, read)
        });
        let (connected, read) = verified.await;
        match read {
            Ok(_) => Ok(connected.finish_after(request).await),
            Err(error) => Err(alert_of(&error)),
        }
    }

    /// Sends, then ends the own direction and reads to the end of the other.
    pub async fn finish(mut self, request: &'static [u8]) -> Finished {
        blocking(move || {
            self.stream.write_all(request).unwrap();
            self
        })
        .await
        .finish_after(request)
        .await
    }

    /// The request is sent.
    async fn finish_after(mut self, request: &'static [u8]) -> Finished {
        blocking(move || {
            let mut answer = Vec::new();
            if !request.is_empty() {
                // One answer with `connection: close` behind it.
                self.stream.read_to_end(&mut answer).unwrap();
            }
            let _ = self.stream.shutdown();
            let _ = self.stream.read_to_end(&mut Vec::new());
            let (written, read) = (self.written(), self.read());
            let sessions = std::mem::take(&mut *self.sessions.lock().unwrap());
            Finished {
                answer,
                written,
                read,
                sessions,
            }
        })
        .await
    }
}

/// A connection after its end.
pub struct Finished {
    pub answer: Vec<u8>,
    /// Bytes below TLS, whole connection.
    pub written: u64,
    /// Bytes below TLS, whole connection.
    pub read: u64,
    /// One for each ticket.
    pub sessions: Vec<SslSession>,
}

/// A handshake that OpenSSL gave up.
pub struct Refused {
    /// The alert that the server sent.
    pub alert: Option<u8>,
    pub error: String,
    /// Everything that the server sent.
    pub received: Vec<u8>,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alert {:?}: {}", self.alert, self.error)
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.group(), self.suite())
    }
}

/// OpenSSL reports an alert of the peer as reason 1000 + alert (SSL_AD_REASON_OFFSET).
fn alert_of(error: &openssl::ssl::Error) -> Option<u8> {
    let errors = error.ssl_error()?.errors();
    let mut reasons = errors.iter().map(|error| error.reason_code() - 1000);
    reasons.find_map(|code| u8::try_from(code).ok())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

unsafe extern "C" {
    fn BIO_number_read(bio: *mut openssl_sys::BIO) -> u64;
    fn BIO_number_written(bio: *mut openssl_sys::BIO) -> u64;
}
