//! Accepting connections for as long as a command serves: neither a connection that has gone again nor a process that
//! is out of open files ends it.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};

/// Until something may have been closed.
const PAUSE: Duration = Duration::from_millis(50);

/// The next connection.
pub async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    loop {
        match listener.accept().await {
            Ok((peer, _)) => return Ok(peer),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    tokio::time::sleep(PAUSE).await;
                }
                // An error of the connection, which accept(2) hands on, or a call that a signal cut short.
                Some(
                    Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT | Errno::OPNOTSUPP,
                )
                | None => {
                    return Err(error);
                }
                Some(_) => {}
            },
        }
    }
}
