//! Reads the versions of the cryptographic libraries out of the lock file for `build_info`.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    // Read when it runs, not when it is compiled: target/ may be that of a folder that has moved.
    let folder = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let lock = PathBuf::from(folder).join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(lock).unwrap_or_default();
    for (variable, name) in [
        ("RUSTLS_VERSION_IN_USE", "rustls"),
        ("AWS_LC_VERSION_IN_USE", "aws-lc-rs"),
    ] {
        println!("cargo::rustc-env={variable}={}", version_of(&lock, name));
    }
}

fn version_of<'a>(lock: &'a str, name: &str) -> &'a str {
    let entry = format!("name = \"{name}\"\nversion = \"");
    lock.split_once(entry.as_str())
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or("unknown")
}
