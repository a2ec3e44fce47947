//! Where the `hybridge` program is: named, beside this one, or to be built from the checkout this one lies in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::terminal::say;

/// The `hybridge` program: the one named, or beside this one, or built from the checkout this one was built in.
pub fn find(named: Option<&Path>) -> Result<PathBuf> {
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
    let own = std::env::current_exe().map_err(Error::system("where this program lies"))?;
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

/// Builds the sidecar into `folder`, in its profile, from the checkout above it or the one `cargo run` was called in.
fn build(folder: &Path) -> Result<()> {
    let is_workspace = |path: &&Path| {
        std::fs::read_to_string(path.join("Cargo.toml"))
            .is_ok_and(|text| text.contains("name = \"hybridge\""))
    };
    let called_in = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let mut folders = folder
        .ancestors()
        .chain(called_in.iter().flat_map(|folder| folder.ancestors()));
    let Some(checkout) = folders.find(is_workspace) else {
        return Err(no_binary(&folder.join("hybridge")));
    };
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    say(&format!(
        "no hybridge in {}: building it first (cargo build --profile {profile} --bin hybridge)",
        folder.display()
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
            "--target-dir",
        ])
        .arg(folder.parent().unwrap_or(folder))
        .current_dir(checkout)
        .status()
        .map_err(Error::system(
            "cargo could not be started to build hybridge",
        ))?;
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
