//! The program as a process: servers and a plan for it, its exit code and what it says.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hybridge_loadtest::tls::Group;
use tempfile::TempDir;

use super::{Pki, serve};

/// The program under test.
pub const BIN: &str = env!("CARGO_BIN_EXE_hybridge-loadtest");

/// A folder with the CA, the two servers and a plan that names them.
pub struct Place {
    pub folder: TempDir,
    pub hybrid: SocketAddr,
    pub classical: SocketAddr,
}

impl Place {
    pub async fn new() -> Self {
        let pki = Pki::new();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &pki.ca_pem).unwrap();
        let hybrid = serve(pki.server(&[Group::X25519MLKEM768])).await;
        let classical = serve(pki.server(&[Group::X25519])).await;
        Self {
            folder,
            hybrid,
            classical,
        }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn plan(&self, rounds: u32) -> String {
        let target = |name: &str, role: &str, address: SocketAddr| {
            format!(
                "[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"https://{address}\"\nca = \"{}\"\nserver_name = \"localhost\"\n",
                self.path("ca.crt")
            )
        };
        let text = format!(
            "name = \"test\"\nrounds = {rounds}\nblock = \"20ms\"\nwarmup = \"5ms\"\n{}{}\
             [[case]]\nscenario = \"full-handshake\"\n[[case]]\nscenario = \"h1-keepalive\"\n",
            target("hybrid", "subject", self.hybrid),
            target("classical", "baseline", self.classical)
        );
        std::fs::write(self.path("plan.toml"), text).unwrap();
        self.path("plan.toml")
    }

    pub fn compare(&self, more: &[&str]) -> Output {
        let (hybrid, classical) = (
            format!("https://{}", self.hybrid),
            format!("https://{}", self.classical),
        );
        let ca = self.path("ca.crt");
        let mut arguments = vec![
            "compare",
            "--quick",
            "--hybrid",
            &hybrid,
            "--classical",
            &classical,
        ];
        arguments.extend([
            "--ca",
            &ca,
            "--server-name",
            "localhost",
            "--scenario",
            "full-handshake",
        ]);
        arguments.extend([
            "--rounds",
            "2",
            "--block",
            "10ms",
            "--connections",
            "1",
            "--rtt",
            "0",
        ]);
        arguments.extend(more);
        tool(self.folder.path(), &arguments)
    }
}

pub fn tool(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(BIN)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Exit code and standard error.
fn told(output: &Output) -> (i32, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

pub fn assert_told(output: &Output, code: i32, words: &[&str]) {
    let (got, text) = told(output);
    assert_eq!(got, code, "{text}");
    for word in words {
        assert!(text.contains(word), "\"{word}\" is missing in: {text}");
    }
}
