//! What this build is made of.

use std::sync::LazyLock;

/// Versions of the product and of the libraries that do the cryptography.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    /// This product.
    pub hybridge: &'static str,
    /// The TLS library.
    pub rustls: &'static str,
    /// The bindings of the cryptographic library.
    pub aws_lc: &'static str,
}

/// As the lock file has them.
pub const VERSIONS: Versions = Versions {
    hybridge: env!("CARGO_PKG_VERSION"),
    rustls: env!("RUSTLS_VERSION_IN_USE"),
    aws_lc: env!("AWS_LC_VERSION_IN_USE"),
};

/// The commit, where the build was told (`scripts/release`): a build that looks for it itself would not be
/// the same bytes from an archive of the source.
const COMMIT: Option<&str> = option_env!("HYBRIDGE_COMMIT");

/// What `hybridge --version` prints behind the name.
pub fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(version_text);
    &TEXT
}

fn version_text() -> String {
    let Versions {
        hybridge,
        rustls,
        aws_lc,
    } = VERSIONS;
    let commit = COMMIT.filter(|commit| !commit.is_empty());
    let commit = commit.map_or_else(String::new, |commit| format!("\ncommit {commit}"));
    format!("{hybridge}{commit}\nrustls {rustls}, aws-lc-rs {aws_lc}")
}
