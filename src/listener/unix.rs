//! A Unix socket that accepts, and its file: whose it is, who may connect, and when it goes.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use rustix::fs::{Mode, OFlags};
use rustix::net::listen;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpStream, UnixListener};

/// Unix sockets of one listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnixSockets {
    /// Their files.
    pub paths: Vec<PathBuf>,
    /// Mode of the files: who may connect.
    pub mode: u32,
}

/// Owner and group.
const DEFAULT_MODE: u32 = 0o660;

impl Default for UnixSockets {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            mode: DEFAULT_MODE,
        }
    }
}

impl UnixSockets {
    /// Each that cannot be bound, as no directory is there for it.
    pub fn without_directory(&self) -> impl Iterator<Item = String> {
        let paths = self.paths.iter();
        paths.filter_map(|path| Some(format!("unix:{}: {}", path.display(), no_directory(path)?)))
    }
}

fn no_directory(path: &Path) -> Option<String> {
    let directory = path.parent().filter(|directory| !directory.is_dir())?;
    Some(format!(
        "its directory {} is not there: make it, or choose another path",
        directory.display()
    ))
}

/// A Unix socket that accepts. Its file is removed when this is dropped.
#[derive(Debug)]
pub(super) struct UnixSocket {
    socket: UnixListener,
    path: PathBuf,
    /// Device and number of the file, if it could be looked at.
    file: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Binds `path`; needs a runtime. What a dead process left there is replaced.
    pub(super) fn bind(path: &Path, mode: u32, backlog: i32) -> io::Result<Self> {
        if let Some(what) = no_directory(path) {
            return Err(io::Error::new(ErrorKind::NotFound, what));
        }
        let address = SockAddr::unix(path)?;
        make_way(path, &address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address)?;
        let bound = Self {
            socket: UnixListener::from_std(socket.into())?,
            path: path.to_owned(),
            file: identity(path),
        };
        // Nobody can connect before it listens.
        bound.set_mode(mode)?;
        bound.set_backlog(backlog)?;
        Ok(bound)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn set_backlog(&self, backlog: i32) -> io::Result<()> {
        Ok(listen(&self.socket, backlog)?)
    }

    /// Whether its path leads to it; else nobody reaches it any more.
    pub(super) fn has_its_path(&self) -> bool {
        self.file.is_some() && identity(&self.path) == self.file
    }

    /// Of its own file only: what another has put there since, a link among it, keeps its mode.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&self.path, flags, Mode::empty())?;
        let found = rustix::fs::fstat(&file)?;
        if self.file != Some((found.st_dev, found.st_ino)) {
            return Err(io::Error::other("its path leads to another file"));
        }
        // fchmod(2) takes no descriptor of O_PATH; its entry in /proc is the file itself (proc(5)).
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(itself, fs::Permissions::from_mode(mode))
    }

    /// The next connection, as the type that connections of TCP have: reading, writing, closing and waiting
    /// are the same system calls. What only TCP has, such as addresses, is an error of it.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let (stream, _) = ready!(self.socket.poll_accept(cx))?;
        let descriptor = OwnedFd::from(stream.into_std()?);
        Poll::Ready(TcpStream::from_std(descriptor.into()))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Another process may have put its own there since.
        if self.has_its_path() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Removes a socket on which nobody listens. Anything else that is there stays, and is an error.
fn make_way(path: &Path, address: &SockAddr) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let what = "a file is there that is no socket: remove it, or choose another path";
        return Err(io::Error::new(ErrorKind::AlreadyExists, what));
    }
    let visitor = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    visitor.set_nonblocking(true)?;
    match visitor.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Somebody listens, if with a full queue.
        Ok(()) => Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::net::UnixListener as Std;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_its_file_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let bound = UnixSocket::bind(&path, 0o600, 4).unwrap();
        assert_eq!(mode(&path), 0o600);
        bound.set_mode(0o666).unwrap();
        assert_eq!(mode(&path), 0o666);
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_replaced_and_what_lives_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        // The standard library leaves the file, as a process does that is killed.
        drop(Std::bind(&path).unwrap());
        let first = UnixSocket::bind(&path, 0o660, 4).unwrap();
        let refused = UnixSocket::bind(&path, 0o660, 4).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
        assert!(path.exists());
        drop(first);
        fs::write(&path, "a file").unwrap();
        let refused = UnixSocket::bind(&path, 0o660, 4).unwrap_err();
        assert!(refused.to_string().contains("no socket"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"a file");
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/s");
        let sockets = UnixSockets {
            paths: vec![path.clone(), dir.path().join("s")],
            ..UnixSockets::default()
        };
        let run = dir.path().join("run");
        let said = format!(
            "its directory {} is not there: make it, or choose another path",
            run.display()
        );
        let refused = UnixSocket::bind(&path, 0o660, 4).unwrap_err();
        assert_eq!(refused.to_string(), said);
        let warned: Vec<_> = sockets.without_directory().collect();
        assert_eq!(warned, [format!("unix:{}: {said}", path.display())]);
        fs::create_dir(run).unwrap();
        assert_eq!(sockets.without_directory().count(), 0);
        UnixSocket::bind(&path, 0o660, 4).unwrap();
    }

    #[tokio::test]
    async fn what_another_put_in_its_place_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let victim = dir.path().join("victim");
        fs::write(&victim, "secret").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        let bound = UnixSocket::bind(&path, 0o660, 4).unwrap();
        assert!(bound.has_its_path());
        fs::remove_file(&path).unwrap();
        assert!(!bound.has_its_path() && bound.set_mode(0o666).is_err());
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(!bound.has_its_path() && bound.set_mode(0o666).is_err());
        fs::remove_file(&path).unwrap();
        fs::hard_link(&victim, &path).unwrap();
        assert!(!bound.has_its_path() && bound.set_mode(0o666).is_err());
        assert_eq!(mode(&victim), 0o600);
        drop(bound);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_queue_that_is_full_is_one_of_a_living_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _bound = UnixSocket::bind(&path, 0o660, 0).unwrap();
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let connected = socket.connect(&SockAddr::unix(&path).unwrap());
            (socket, connected)
        };
        let mut waiting = vec![connect()];
        while waiting.last().unwrap().1.is_ok() {
            waiting.push(connect());
        }
        let refused = UnixSocket::bind(&path, 0o660, 4).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn the_file_of_a_successor_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let bound = UnixSocket::bind(&path, 0o660, 4).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = Std::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
        drop(successor);
    }
}
