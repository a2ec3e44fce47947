//! Fail closed: an app that listens on every address instead of loopback cannot start beside the sidecar,
//! even if it sets SO_REUSEPORT as vLLM does and runs as the same user.

use std::io;
use std::net::SocketAddr;

use crate::support::{Setup, answering};
use socket2::{Domain, Socket, Type};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Listens as vLLM does; both options are those of its server.
fn listen_as_an_app(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(16)?;
    Ok(socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_on_every_address_is_refused_the_port_that_the_sidecar_has() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await).start();
    let taken = sidecar.address.port();
    for host in ["0.0.0.0", "[::]", "127.0.0.1"] {
        let address = format!("{host}:{taken}").parse().unwrap();
        let error = listen_as_an_app(address).expect_err(host);
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{host}: {error}");
    }
}

/// The same socket on a free port, so that the refusal above is the sidecar's doing.
#[test]
fn two_apps_that_share_a_port_would_not_notice_each_other() {
    let first = listen_as_an_app("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_addr().unwrap().as_socket().unwrap();
    listen_as_an_app(address).unwrap();
}
