//! An egress on a Unix socket: what becomes of its file while processes start, reload and end, with curl as the
//! app.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::PathBuf;
use std::process::Output;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::{generation, reload, status};
use crate::support::http::nobody;
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, read_head, upstream, within};

/// A server, and where an egress to it is to listen.
struct Place {
    stage: Stage,
    server: Process,
    dir: TempDir,
    path: PathBuf,
}

impl Place {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let upstream = stage.address;
        Self::with(stage, upstream).await
    }

    /// The server is in front of `upstream`.
    async fn with(stage: Stage, upstream: SocketAddr) -> Self {
        let server = Process::start(&Setup::in_front_of(upstream)).await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.crt"), &server.ca).unwrap();
        let path = dir.path().join("app.sock");
        Self {
            stage,
            server,
            dir,
            path,
        }
    }

    /// A sidecar with that egress; `more` is TOML for its section.
    fn setup(&self, more: &str) -> Setup {
        let (path, dir) = (self.path.display(), self.dir.path().display());
        let port = self.server.address.port();
        Setup::in_front_of(self.stage.address).process(&format!(
            "[drain]\ndelay = \"0s\"\ntimeout = \"60s\"\n[[egress]]\nname = \"out\"\nlisten = \"unix:{path}\"\ntarget = \"localhost:{port}\"\nprotocol = \"http\"\n{more}\n[egress.tls]\nca = \"{dir}/ca.crt\"\n"
        ))
    }

    /// Number and mode of the file.
    fn file(&self) -> (u64, u32) {
        let file = std::fs::symlink_metadata(&self.path).unwrap();
        (file.ino(), file.mode() & 0o777)
    }

    async fn curl(&self) -> Output {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--unix-socket"])
            .arg(&self.path)
            .arg("http://store.example/");
        within(curl.output()).await.unwrap()
    }

    /// curl reaches the server through it.
    async fn serves(&self) {
        let output = self.curl().await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert!(
            said.contains("x-tls-key-exchange: X25519MLKEM768"),
            "{said}"
        );
        assert!(said.ends_with("done"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_served_on_a_unix_socket_until_the_process_ends() {
    let place = Place::new().await;
    let process = Process::start(&place.setup("")).await;
    assert_eq!(place.file().1, 0o660);
    place.serves().await;
    let page = status(&process.admin("/status").await.1);
    let listens = format!("unix:{}", place.path.display());
    assert_eq!(
        page["egresses"][0]["addresses"],
        serde_json::json!([listens])
    );
    process.logs(&format!("addresses=[{listens}]")).await;
    let mut app = UnixStream::connect(&place.path).await.unwrap();
    app.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    let mut answer = String::new();
    within(app.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    process.logs("client=unix").await;
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!place.path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_a_socket_that_the_next_replaces_and_a_living_one_keeps_its_own() {
    let place = Place::new().await;
    let killed = Process::start(&place.setup("")).await;
    killed.signal(Signal::KILL);
    killed.ended().await;
    assert!(place.path.exists());
    let process = Process::start(&place.setup("")).await;
    let pki = TestPki::new(hybridge::certgen::Algorithm::EcdsaP256);
    let leaf = pki.leaf(&["localhost"]);
    let second = Process::start_with(&place.setup(""), pki, &leaf, &[]).await;
    let Err(log) = second else {
        panic!("a second process has the socket")
    };
    assert!(log.contains("is in use by another process"), "{log}");
    place.serves().await;
    drop(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_socket_changes_its_mode_and_removes_it() {
    let place = Place::new().await;
    let process = Process::start(&place.setup("")).await;
    let (number, _) = place.file();
    let changed = place.setup("socket-mode = \"0600\"");
    reload(&process, &changed.toml(&process.dir));
    generation(&process, 2).await;
    assert_eq!(place.file(), (number, 0o600));
    place.serves().await;
    let without = Setup::in_front_of(place.stage.address);
    reload(&process, &without.toml(&process.dir));
    generation(&process, 3).await;
    assert!(!place.path.exists());
    reload(&process, &place.setup("").toml(&process.dir));
    generation(&process, 4).await;
    assert_eq!(place.file().1, 0o660);
    place.serves().await;
}

/// A user who may write the directory may put something in the file's place: that keeps its mode, and the egress
/// comes back when the place is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_leaves_what_stands_at_its_path_and_binds_anew_when_it_is_gone() {
    let place = Place::new().await;
    let process = Process::start(&place.setup("")).await;
    let victim = place.dir.path().join("victim");
    std::fs::write(&victim, "secret").unwrap();
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::remove_file(&place.path).unwrap();
    std::os::unix::fs::symlink(&victim, &place.path).unwrap();
    let changed = place.setup("socket-mode = \"0666\"");
    reload(&process, &changed.toml(&process.dir));
    generation(&process, 2).await;
    process.logs("no client reaches this address").await;
    assert_eq!(std::fs::metadata(&victim).unwrap().mode() & 0o777, 0o600);
    std::fs::remove_file(&place.path).unwrap();
    let again = place.setup("socket-mode = \"0600\"");
    reload(&process, &again.toml(&process.dir));
    generation(&process, 3).await;
    assert_eq!(place.file().1, 0o600);
    place.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_its_path_is_the_same_socket() {
    let place = Place::new().await;
    let process = Process::start(&place.setup("")).await;
    let (number, _) = place.file();
    let toml = place.setup("socket-mode = \"0600\"").toml(&process.dir);
    let other = place
        .dir
        .path()
        .join("../")
        .join(place.dir.path().file_name().unwrap());
    let other = other.join("app.sock");
    let listen = |path: &std::path::Path| format!("listen = \"unix:{}\"", path.display());
    reload(
        &process,
        &toml.replace(&listen(&place.path), &listen(&other)),
    );
    generation(&process, 2).await;
    assert_eq!(place.file(), (number, 0o600));
    place.serves().await;
}

/// The upstream of the listener that it leads to is the egress itself, by another spelling of its path.
#[tokio::test(flavor = "multi_thread")]
async fn a_circle_through_a_unix_socket_is_a_loop_however_its_path_is_written() {
    let place = Place::new().await;
    let (held, address) = nobody();
    drop(held);
    let (path, dir) = (place.path.display(), place.dir.path().display());
    let name = place.dir.path().file_name().unwrap().display();
    let circle = Setup::in_front_of(place.stage.address);
    let start = Process::start(&circle).await;
    let files = start.dir.path().display();
    let circle = circle.process(&format!(
        "[[listener]]\nname = \"round\"\nlisten = \"{address}\"\nupstream = \"unix:{dir}/../{name}/app.sock\"\n[listener.tls]\ncert = \"{files}/tls.crt\"\nkey = \"{files}/tls.key\"\n[[egress]]\nname = \"out\"\nlisten = \"unix:{path}\"\ntarget = \"localhost:{}\"\nprotocol = \"http\"\ntls.ca = \"{dir}/ca.crt\"\n",
        address.port()
    ));
    reload(&start, &circle.toml(&start.dir));
    generation(&start, 2).await;
    let output = place.curl().await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("HTTP/1.1 502"), "{said}");
    let label = [("reason", "loop")];
    start
        .metric_is("hybridge_upstream_failures_total", &label, 1.0)
        .await;
    let handshakes = start.metric("hybridge_handshakes_total", &[]).await;
    assert_eq!(handshakes, 0.0);
}

/// What a reset tells on TCP, the chunk that is missing tells here.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_was_cut_does_not_look_whole() {
    const CUT: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    const PARTIAL_FILE: i32 = 18;
    let cutting = upstream(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(CUT).await.unwrap();
    });
    let place = Place::with(Stage::new().await, cutting.await).await;
    let _process = Process::start(&place.setup("")).await;
    let output = place.curl().await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("hello"), "{output:?}");
    assert_eq!(output.status.code(), Some(PARTIAL_FILE), "{output:?}");
}
