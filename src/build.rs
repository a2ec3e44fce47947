//! What this build is made of.

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
