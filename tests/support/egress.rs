//! An egress on port 0, and apps without TLS that use it.

use std::io::ErrorKind;
use std::net::SocketAddr;

use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use hybridge::run;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::pki::TestPki;
use super::{Sidecar, within};

/// An egress to `target` that trusts the CA `ca`; `tls` and `more` are TOML for its sections.
pub fn egress(target: &str, ca: &str, tls: &str, more: &str) -> Sidecar {
    capturing(&format!("target = \"{target}\"\n{more}"), ca, tls)
}

/// An egress whose apps name their targets; `egress` is TOML for its section.
pub fn capturing(egress: &str, ca: &str, tls: &str) -> Sidecar {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.crt"), ca).unwrap();
    let ca = dir.path().join("ca.crt");
    let text = format!(
        "[drain]\ndelay = \"0s\"\ntimeout = \"10s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\n{egress}\n[egress.tls]\nca = \"{}\"\n{tls}\n",
        ca.display()
    );
    let config = Config::parse("test.toml", &text).unwrap();
    let running = run::Sidecar::start(config).unwrap();
    Sidecar {
        address: running.addresses("out")[0],
        admin: running.admin_addresses()[0],
        ca: std::fs::read(&ca).unwrap(),
        pki: TestPki::new(Algorithm::EcdsaP256),
        dir,
        running: Some(running),
    }
}

/// How an app's connection ended: what came, and whether the end was a reset.
#[derive(Debug, Eq, PartialEq)]
pub struct Ended {
    pub received: Vec<u8>,
    pub reset: bool,
}

/// Sends, ends its direction, and reads to the end.
pub async fn app(address: SocketAddr, request: &[u8]) -> Ended {
    // A reset may be there before the socket says that it is connected.
    let mut stream = match TcpStream::connect(address).await {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {
            return Ended {
                received: Vec::new(),
                reset: true,
            };
        }
        connected => connected.unwrap(),
    };
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    to_the_end(&mut stream).await
}

/// Reads to the end.
pub async fn to_the_end(stream: &mut TcpStream) -> Ended {
    let mut received = Vec::new();
    let read = within(stream.read_to_end(&mut received)).await;
    let reset = match read {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
        Err(error) => panic!("{error}"),
    };
    Ended { received, reset }
}
