//! What keeps the binary from starting: one line that says what is wrong, and the exit code.

use std::path::Path;

use crate::support::pki::TestPki;
use crate::support::{Setup, within};
use hybridge::certgen::Algorithm;
use tempfile::TempDir;
use tokio::process::Command;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const NAMES: [&str; 1] = ["localhost"];

/// Exit code and standard error of `hybridge run` with these flags; the admin port is off.
async fn run(flags: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(["run", "--admin", "none"])
        .args(flags)
        .env_clear()
        .kill_on_drop(true)
        .output();
    let output = within(output).await.unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A folder with a good certificate, and the flags that name it.
struct Files {
    dir: TempDir,
    pki: TestPki,
}

impl Files {
    fn new() -> Self {
        let (dir, pki) = (
            tempfile::tempdir().unwrap(),
            TestPki::new(Algorithm::EcdsaP256),
        );
        pki.leaf(&NAMES).write_to(dir.path());
        Self { dir, pki }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts with the given flags beside those of a listener that works.
    async fn run(&self, listen: &str, flags: &[&str]) -> (Option<i32>, String) {
        let (cert, key) = (self.at("tls.crt"), self.at("tls.key"));
        let base = [
            "--listen",
            listen,
            "--upstream",
            "127.0.0.1:8000",
            "--cert",
            &cert,
            "--key",
            &key,
        ];
        run(&[&base, flags].concat()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_exits_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, said) = Files::new().run(&address.to_string(), &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(
        said,
        format!(
            "hybridge: listener `default`: {address} is in use by another process: stop it, or choose another address with --listen (listener.listen)\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_port_in_use_is_named_and_exits_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let files = Files::new();
    let config = files.path().join("hybridge.toml");
    let dir = files.path().display();
    let text = format!(
        "[admin]\nlisten = \"{address}\"\n[[listener]]\nlisten = \"127.0.0.1:0\"\nupstream = \"127.0.0.1:8000\"\n[listener.tls]\ncert = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let command = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(["run", "--config"])
        .arg(&config)
        .env_clear()
        .kill_on_drop(true)
        .output();
    let output = within(command).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(
        said,
        format!(
            "hybridge: listener `admin`: {address} is in use by another process: stop it, or choose another address with --admin (admin.listen)\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_no_use_is_named_and_exits_64() {
    let files = Files::new();
    let (cert, key) = (files.at("tls.crt"), files.at("tls.key"));
    let listen = "127.0.0.1:0";

    files.pki.mismatched(&NAMES).write_to(files.path());
    let (code, said) = files.run(listen, &[]).await;
    assert_eq!(code, Some(64));
    assert_eq!(
        said,
        format!(
            "hybridge: listener `default`: private key file {key} does not belong to certificate file {cert}: the key is not that of \"CN=localhost\"\n"
        )
    );

    files.pki.expired(&NAMES).write_to(files.path());
    let (code, said) = files.run(listen, &[]).await;
    assert_eq!(code, Some(64));
    let begin = format!(
        "hybridge: listener `default`: certificate file {cert}: PEM block 1 (line 1), \"CN=localhost\", expired on "
    );
    assert!(said.starts_with(&begin), "{said}");
    assert!(said.ends_with(": renew it\n"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    std::fs::write(&cert, "").unwrap();
    let (code, said) = files.run(listen, &[]).await;
    assert_eq!(code, Some(64));
    let expected = format!("hybridge: listener `default`: certificate file {cert} is empty\n");
    assert_eq!(said, expected);

    std::fs::remove_file(&cert).unwrap();
    let (code, said) = files.run(listen, &[]).await;
    assert_eq!(code, Some(64));
    let expected =
        format!("hybridge: listener `default`: certificate file {cert} does not exist\n");
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_loopback_exits_64() {
    let files = Files::new();
    let config = files.path().join("hybridge.toml");
    let dir = files.path().display();
    let text = format!(
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nupstream = \"192.0.2.7:8000\"\n[listener.tls]\ncert = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let (code, said) = run(&["--config", config]).await;
    assert_eq!(code, Some(64), "{said}");
    assert_eq!(
        said,
        format!(
            "hybridge: {config}:3: listener.upstream: 192.0.2.7:8000 is not loopback: plaintext would leave this host; use 127.0.0.1, [::1] or unix:/PATH, or accept that with unsafe-remote-upstream (--unsafe-remote-upstream)\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_exits_64_with_the_nearest_one() {
    let files = Files::new();
    let config = files.path().join("hybridge.toml");
    std::fs::write(&config, "[[listener]]\nupstraem = \"127.0.0.1:8000\"\n").unwrap();
    let config = config.to_str().unwrap();
    let (code, said) = run(&["--config", config]).await;
    assert_eq!(code, Some(64), "{said}");
    let expected =
        format!("hybridge: {config}:2: listener.upstraem: unknown key: did you mean `upstream`?\n");
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_contradict_the_policy_exit_64_with_the_entry() {
    let files = Files::new();
    let flags = [
        "--policy",
        "hybrid-required",
        "--groups",
        "X25519MLKEM768,X25519",
    ];
    let (code, said) = files.run("127.0.0.1:0", &flags).await;
    assert_eq!(code, Some(64), "{said}");
    assert_eq!(
        said,
        "hybridge: --groups: listener `default`: groups: `X25519` is classical and contradicts policy `hybrid-required`: remove it or change the policy\n"
    );
}

/// No start error: an upstream that loads its model comes up after the sidecar.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_down_at_start_is_answered_with_502_until_it_is_up() {
    // Bound, so that nobody else takes the port, and not listening yet.
    let reserved =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    reserved.bind(&any.into()).unwrap();
    let address = reserved.local_addr().unwrap().as_socket().unwrap();
    let sidecar = Setup::in_front_of(address).start();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    for _ in 0..2 {
        let answer = sidecar.exchange(request).await;
        assert!(answer.starts_with(b"HTTP/1.1 502 "), "{answer:?}");
    }
    let refused = [("reason", "refused")];
    let failures = "hybridge_upstream_failures_total";
    sidecar.metric_reaches(failures, &refused, 2.0).await;

    reserved.listen(16).unwrap();
    reserved.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(reserved.into()).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            crate::support::read_head(&mut stream).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, EMPTY).await;
        }
    });
    let answer = sidecar.exchange(request).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
}

/// `check` warns, as what starts the service may make the directory; `run` cannot go on.
#[test]
fn a_socket_without_its_directory_is_named_by_check_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    std::fs::write(path("ca.crt"), pki.ca_pem()).unwrap();
    let text = format!(
        "admin.listen = \"none\"\n[[egress]]\nname = \"out\"\nlisten = \"unix:{}\"\ntarget = \"localhost:1\"\nprotocol = \"http\"\ntls.ca = \"{}\"\n",
        path("run/app.sock"),
        path("ca.crt"),
    );
    std::fs::write(path("hybridge.toml"), text).unwrap();
    let remedy = format!(
        "its directory {} is not there: make it, or choose another path",
        path("run")
    );
    for (words, code) in [(&["check"][..], 0), (&["run", "--config"], 1)] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hybridge"));
        let output = command
            .args(words)
            .arg(path("hybridge.toml"))
            .env_clear()
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(&remedy), "{said}");
    }
}
