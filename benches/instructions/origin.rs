//! The far side of an egress: OpenSSL as the server, and apps that connect to the egress.

use hybridge::certgen::Algorithm;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::proxy::Proxy;
use crate::support::openssl::server::{Listening, Server};
use crate::support::pki::TestPki;
use crate::support::within;

const PING: &[u8] = b"GET /v1/models HTTP/1.1\r\n\r\n";

/// A server that sends back what comes.
pub(crate) struct Origin {
    pub(crate) listening: Listening,
    group: &'static str,
    ca: String,
    resumes: bool,
}

impl Origin {
    pub(crate) fn new(group: &'static str, resumes: bool) -> Self {
        let pki = TestPki::new(Algorithm::EcdsaP256);
        let server = Server::new(&pki.leaf(&["localhost"])).groups(group);
        Self {
            listening: server.listen(),
            group,
            ca: pki.ca_pem().to_owned(),
            resumes,
        }
    }

    /// The PEM certificate that the egress is to trust, and its settings of TLS beside that.
    pub(crate) fn settings(&self) -> (&str, String) {
        let (group, resumption) = (self.group, self.resumes);
        let tls = format!(
            "policy = \"hybrid-required\"\ngroups = [\"{group}\"]\nserver-name = \"localhost\"\nresumption = {resumption}\n"
        );
        (&self.ca, tls)
    }

    /// So many connections of apps, and one before them, for the certificate and a ticket to be known.
    pub(crate) async fn carry_out(&self, proxy: &Proxy, times: u32) {
        // Who asked whether the egress listens was an app, too.
        self.listening.seen().await;
        self.connection(proxy).await;
        for _ in 0..times {
            assert_eq!(self.connection(proxy).await, self.resumes);
        }
    }

    /// One connection; whether it was resumed.
    async fn connection(&self, proxy: &Proxy) -> bool {
        let mut app = TcpStream::connect(proxy.address).await.unwrap();
        app.write_all(PING).await.unwrap();
        let mut answer = [0; PING.len()];
        within(app.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, PING);
        app.shutdown().await.unwrap();
        within(app.read_to_end(&mut Vec::new())).await.unwrap();
        let seen = self.listening.seen().await;
        assert_eq!(seen.group, self.group);
        seen.resumed
    }
}
