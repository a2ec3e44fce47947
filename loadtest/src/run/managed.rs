//! Servers the tool starts itself: `hybridge demo` for HTTP and `hybridge run` with two raw TCP listeners in front
//! of the tool's own far end. They run on cores of their own where there are two, and end with the tool.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{Server, free_ports};
use super::cores::Cores;
use crate::error::{Error, Result};
use crate::plan::{Role, Target};
use crate::run::target::{Resolved, resolve};
use crate::tls::Group;

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
    let mut server = Server::start("hybridge demo", command, cores, None)?;
    let ca = server.ca()?;
    server.listening(&[hybrid, classical, admin]).await?;
    let ports = [hybrid, classical, admin];
    let targets = targets(&server, &ca, "https", ["hybrid", "classical"], ports)?;
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
    let mut server = Server::start("hybridge run", command, cores, Some(folder))?;
    server.listening(&[hybrid, classical, admin]).await?;
    let ports = [hybrid, classical, admin];
    let names = ["hybrid-tcp", "classical-tcp"];
    let targets = targets(&server, &ca, "tls", names, ports)?;
    Ok((server, targets))
}

/// The two listeners of a server that is observed through its admin port, the last of the three.
fn targets(
    server: &Server,
    ca: &Path,
    scheme: &str,
    names: [&str; 2],
    [hybrid, classical, admin]: [u16; 3],
) -> Result<Vec<Resolved>> {
    let both = vec![Group::X25519MLKEM768, Group::X25519];
    let listeners = [
        (names[0], Role::Subject, hybrid, both),
        (names[1], Role::Baseline, classical, vec![Group::X25519]),
    ];
    let target = |(name, role, port, groups): (&str, _, u16, _)| {
        resolve(&Target {
            ca: Some(ca.to_owned()),
            server_name: Some("localhost".into()),
            pid: Some(server.pid()),
            metrics: Some(format!("http://127.0.0.1:{admin}/metrics")),
            listener: Some(name.to_owned()),
            ..Target::new(name, format!("{scheme}://127.0.0.1:{port}"), role, groups)
        })
    };
    listeners.into_iter().map(target).collect()
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
