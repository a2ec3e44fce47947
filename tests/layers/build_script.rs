//! The build script finds the lock file where the sources are now, and not where it was compiled.

use std::path::Path;
use std::process::Command;

#[test]
fn a_compiled_build_script_follows_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(rustc)
        .args(["--edition", "2024", "-o"])
        .arg(&script)
        .arg(root.join("build.rs"))
        .env("CARGO_MANIFEST_DIR", dir.path().join("moved"))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    let run = Command::new(&script)
        .env("CARGO_MANIFEST_DIR", root)
        .output()
        .unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    for name in ["RUSTLS_VERSION_IN_USE", "AWS_LC_VERSION_IN_USE"] {
        let line = said.lines().find(|line| line.contains(name));
        let (_, version) = line.and_then(|line| line.split_once(name)).unwrap();
        let version = version.trim_start_matches('=');
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{said}");
    }
}
