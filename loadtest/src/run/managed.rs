//! Servers the tool starts itself: `hybridge demo` for HTTP and `hybridge run` with two raw TCP listeners in front
//! of the tool's own far end. They run on cores of their own where there are two, and end with the tool.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::error::{Error, Result};
use crate::observe::machine;
use crate::plan::{Role, Target};
use crate::run::target::{Resolved, resolve};
use crate::tls::Group;

/// A started server must answer by then.
const START: Duration = Duration::from_secs(20);

/// A child process that is killed with its owner.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where its configuration and throw-away keys lie; removed at the end.
    folder: Option<PathBuf>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(folder) = &self.folder {
            std::fs::remove_dir_all(folder).ok();
        }
    }
}

/// Cores for the servers and for the generator.
#[derive(Clone, Debug, Default)]
pub struct Cores {
    pub server: Vec<usize>,
    pub generator: Vec<usize>,
}

impl Cores {
    /// Half of what this process may use for each side; empty where there is only one core, or when told not to.
    pub fn split(wanted: bool) -> Self {
        let all = machine::cores();
        if !wanted || all.len() < 2 {
            return Self::default();
        }
        let (server, generator) = all.split_at(all.len() / 2);
        Self {
            server: server.to_vec(),
            generator: generator.to_vec(),
        }
    }

    pub fn describe(&self) -> String {
        if self.server.is_empty() {
            return "servers and generator share all cores".into();
        }
        format!(
            "servers on core {:?}, generator on core {:?}",
            self.server, self.generator
        )
    }
}

/// The `hybridge` program: the one named, or beside this one, or built from the checkout this one was built in.
pub fn find_binary(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(Error::Usage(format!(
                "--hybridge {}: no such file",
                path.display()
            )))
        };
    }
    let own = std::env::current_exe().map_err(|source| Error::System {
        what: "where this program lies",
        source,
    })?;
    let folder = own.parent().unwrap_or(Path::new("."));
    // Test programs lie one folder deeper.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let beside = folder.join("hybridge");
    if beside.is_file() {
        return Ok(beside);
    }
    build(folder)?;
    if beside.is_file() {
        Ok(beside)
    } else {
        Err(no_binary(&beside))
    }
}

/// Builds the sidecar in the same profile, from the checkout above `folder`.
fn build(folder: &Path) -> Result<()> {
    let is_workspace = |path: &&Path| {
        std::fs::read_to_string(path.join("Cargo.toml"))
            .is_ok_and(|text| text.contains("name = \"hybridge\""))
    };
    let Some(checkout) = folder.ancestors().find(is_workspace) else {
        return Err(no_binary(&folder.join("hybridge")));
    };
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    say(&format!(
        "building hybridge first (cargo build --profile {profile} --bin hybridge)"
    ));
    let status = Command::new("cargo")
        .args([
            "build",
            "--profile",
            profile,
            "--package",
            "hybridge",
            "--bin",
            "hybridge",
        ])
        .current_dir(checkout)
        .status()
        .map_err(|source| Error::System {
            what: "cargo could not be started to build hybridge",
            source,
        })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Process(format!(
            "cargo build of hybridge failed: {status}"
        )))
    }
}

fn no_binary(path: &Path) -> Error {
    Error::Usage(format!(
        "the hybridge program is not at {}; name it with --hybridge FILE, build it with \
         `cargo build --release`, or name running targets with --hybrid and --classical",
        path.display()
    ))
}

/// Starts the demo and resolves its two listeners.
pub async fn demo(binary: &Path, cores: &Cores) -> Result<(Server, Vec<Resolved>)> {
    let [hybrid, classical, admin] = free_ports()?;
    let address = |port: u16| format!("127.0.0.1:{port}");
    let mut command = Command::new(binary);
    command.args([
        "demo",
        "--listen",
        &address(hybrid),
        "--classical-listen",
        &address(classical),
    ]);
    command.args(["--admin", &address(admin)]);
    let mut server = spawn(command, cores, None)?;
    let ca = ca_line(&mut server)?;
    wait_ready(&mut server, "hybridge demo", &[hybrid, classical, admin]).await?;
    let pid = server.child.id();
    let listeners = [
        ("hybrid", Role::Subject, hybrid),
        ("classical", Role::Baseline, classical),
    ];
    let mut targets = Vec::new();
    for (name, role, port) in listeners {
        let url = format!("https://127.0.0.1:{port}");
        targets.push(resolve(&target(name, role, url, ca.clone(), pid, admin))?);
    }
    Ok((server, targets))
}

/// Starts two raw TCP listeners in front of `upstream`.
pub async fn tcp(binary: &Path, cores: &Cores, upstream: u16) -> Result<(Server, Vec<Resolved>)> {
    let [hybrid, classical, admin] = free_ports()?;
    let folder =
        std::env::temp_dir().join(format!("hybridge-loadtest-{}-{admin}", std::process::id()));
    let ca = write_credentials(&folder)?;
    let listener = |name: &str, port: u16, policy: &str| {
        format!(
            "[[listener]]\nname = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\nupstream = \"127.0.0.1:{upstream}\"\n\
             protocol = \"tcp\"\n[listener.tls]\npolicy = \"{policy}\"\ncert = \"{0}/tls.crt\"\nkey = \"{0}/tls.key\"\n",
            folder.display()
        )
    };
    let config = format!(
        "[admin]\nlisten = \"127.0.0.1:{admin}\"\n{}{}",
        listener("hybrid-tcp", hybrid, "hybrid-preferred"),
        listener("classical-tcp", classical, "classical-only"),
    );
    let path = folder.join("hybridge.toml");
    std::fs::write(&path, config).map_err(|source| Error::write(&path, source))?;
    let mut command = Command::new(binary);
    command.arg("run").arg("--config").arg(&path);
    let mut server = spawn(command, cores, Some(folder))?;
    wait_ready(&mut server, "hybridge run", &[hybrid, classical, admin]).await?;
    let pid = server.child.id();
    let listeners = [
        ("hybrid-tcp", Role::Subject, hybrid),
        ("classical-tcp", Role::Baseline, classical),
    ];
    let mut targets = Vec::new();
    for (name, role, port) in listeners {
        targets.push(resolve(&target(
            name,
            role,
            format!("tls://127.0.0.1:{port}"),
            ca.clone(),
            pid,
            admin,
        ))?);
    }
    Ok((server, targets))
}

fn target(name: &str, role: Role, url: String, ca: PathBuf, pid: u32, admin: u16) -> Target {
    let groups = match role {
        Role::Subject => vec![Group::X25519MLKEM768, Group::X25519],
        Role::Baseline => vec![Group::X25519],
    };
    Target {
        name: name.to_owned(),
        url,
        role,
        expect: groups[0],
        groups,
        ca: Some(ca),
        server_name: Some("localhost".into()),
        pid: Some(pid),
        pid_file: None,
        metrics: Some(format!("http://127.0.0.1:{admin}/metrics")),
        listener: Some(name.to_owned()),
    }
}

/// A CA and a P-256 leaf for localhost, as the demo makes them.
fn write_credentials(folder: &Path) -> Result<PathBuf> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let generate = || {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key)?;
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names)?.signed_by(&key, &Issuer::new(ca, ca_key))?;
        Ok([
            ("ca.crt", ca_certificate.pem()),
            ("tls.crt", leaf.pem()),
            ("tls.key", key.serialize_pem()),
        ])
    };
    let files = generate().map_err(|error: rcgen::Error| {
        Error::Process(format!(
            "throw-away certificates could not be made: {error}"
        ))
    })?;
    std::fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
    for (name, pem) in files {
        let path = folder.join(name);
        write_private(&path, &pem).map_err(|source| Error::write(&path, source))?;
    }
    Ok(folder.join("ca.crt"))
}

fn write_private(path: &Path, pem: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(pem.as_bytes())
}

/// Starts a child on the servers' cores: it inherits the binding of the thread that starts it.
fn spawn(mut command: Command, cores: &Cores, folder: Option<PathBuf>) -> Result<Server> {
    let bind = |cores: &[usize]| {
        if cores.is_empty() {
            Ok(())
        } else {
            machine::pin(cores)
        }
    };
    let pinned = |source| Error::System {
        what: "binding to a core",
        source,
    };
    bind(&cores.server).map_err(pinned)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    bind(&cores.generator).map_err(pinned)?;
    let child = child.map_err(|error| {
        Error::Process(format!(
            "{} could not be started: {error}",
            command.get_program().display()
        ))
    })?;
    Ok(Server { child, folder })
}

/// Reads the demo's output up to `CA: <path>` and lets the rest flow away.
fn ca_line(server: &mut Server) -> Result<PathBuf> {
    let Some(stdout) = server.child.stdout.take() else {
        return Err(Error::Process("hybridge demo has no output".into()));
    };
    let mut lines = BufReader::new(stdout).lines();
    let found = lines
        .by_ref()
        .map_while(std::result::Result::ok)
        .find_map(|line| {
            line.trim()
                .strip_prefix("CA:")
                .map(|path| PathBuf::from(path.trim()))
        });
    // A full pipe would stop the server.
    std::thread::spawn(move || lines.for_each(drop));
    found.ok_or_else(|| {
        Error::Process(
            "hybridge demo ended without naming its CA; run `hybridge demo` to see why".into(),
        )
    })
}

async fn wait_ready(server: &mut Server, what: &str, ports: &[u16]) -> Result<()> {
    let deadline = Instant::now() + START;
    for port in ports {
        while TcpStream::connect(("127.0.0.1", *port)).await.is_err() {
            let ended = server.child.try_wait().ok().flatten();
            if let Some(status) = ended {
                return Err(Error::Process(format!(
                    "{what} ended at once ({status}); run it by hand to see why"
                )));
            }
            if Instant::now() > deadline {
                return Err(Error::Process(format!(
                    "{what} does not listen on port {port} after {START:?}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// Three ports nobody listens on at this moment.
fn free_ports() -> Result<[u16; 3]> {
    let bind = || {
        let held = [0; 3].map(|_| StdListener::bind(("127.0.0.1", 0)));
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(held) {
            *port = listener?.local_addr()?.port();
        }
        Ok(ports)
    };
    bind().map_err(|source| Error::System {
        what: "no free port on 127.0.0.1",
        source,
    })
}

fn say(text: &str) {
    // A closed standard error must not end the run.
    writeln!(std::io::stderr(), "{text}").ok();
}
