//! Both ends of a tunnel, and apps behind and in front of it.

use std::net::SocketAddr;

use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use hybridge::run;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::egress::capturing;
use super::pki::{TestPki, uri};
use super::{Sidecar, within};

/// The peers that the far end lets in.
pub const RANK: &str = "spiffe://train.example/ns/ml/sa/rank-1";

/// Clients need a certificate, and somebody named them.
pub const NAMED: &str = "client-auth = \"required\"\nclient-ca = \"CA\"\nallow-uri = [\"spiffe://train.example/ns/ml/sa/*\"]";

/// A listener of protocol tunnel; `listener` and `tls` are TOML for its sections, `CA` stands for a file.
pub fn far(listener: &str, tls: &str) -> Sidecar {
    let dir = tempfile::tempdir().unwrap();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let files = pki.write_to(dir.path());
    let ca = files.ca.display().to_string();
    let text = format!(
        "[drain]\ndelay = \"0s\"\ntimeout = \"10s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[[listener]]\nname = \"in\"\nlisten = \"127.0.0.1:0\"\nprotocol = \"tunnel\"\n{listener}\n[listener.tls]\ncert = \"{}\"\nkey = \"{}\"\n{}\n",
        files.cert.display(),
        files.key.display(),
        tls.replace("CA", &ca)
    );
    let config = Config::parse("test.toml", &text).unwrap();
    let running = run::Sidecar::start(config).unwrap();
    Sidecar {
        address: running.addresses("in")[0],
        admin: running.admin_addresses()[0],
        ca: pki.ca_pem().as_bytes().to_vec(),
        pki,
        dir,
        running: Some(running),
    }
}

/// An egress that leads to it, with the certificate of `id`.
pub fn near(far: &Sidecar, capture: &str, id: &str) -> Sidecar {
    let pair = far.pki.client(&[uri(id)]);
    let dir = far.dir.path().join(id.replace(['/', ':'], "_"));
    std::fs::create_dir_all(&dir).unwrap();
    let files = pair.write_to(&dir);
    let egress = format!(
        "capture = \"{capture}\"\ntarget = \"{{host}}:{}\"\ntunnel = true\ntargets-allowed = [\"localhost:*\", \"127.0.0.0/8:*\"]",
        far.address.port()
    );
    let tls = format!(
        "policy = \"hybrid-required\"\ncert = \"{}\"\nkey = \"{}\"",
        files.cert.display(),
        files.key.display()
    );
    capturing(&egress, far.pki.ca_pem(), &tls)
}

/// A request by SOCKS5, and the code of the reply.
pub async fn socks(egress: SocketAddr, request: &[u8]) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(egress).await.unwrap();
    stream.write_all(&[5, 1, 0]).await.unwrap();
    let mut method = [0; 2];
    within(stream.read_exact(&mut method)).await.unwrap();
    assert_eq!(method, [5, 0]);
    stream.write_all(request).await.unwrap();
    let mut reply = [0; 10];
    within(stream.read_exact(&mut reply)).await.unwrap();
    assert_eq!((reply[0], &reply[2..4]), (5, &[0, 1][..]));
    (stream, reply[1])
}

/// SOCKS5's request for a name.
pub fn by_name(name: &str, port: u16) -> Vec<u8> {
    let length = [5, 1, 0, 3, name.len() as u8];
    [&length, name.as_bytes(), &port.to_be_bytes()].concat()
}
