//! What is to be issued.

use clap::ValueEnum;

use super::name::Name;

/// Longest life of a server certificate that is issued, in days.
pub const MAX_DAYS: u32 = 3650;

/// Kind of a key pair, and so of the signatures it makes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Algorithm {
    #[default]
    EcdsaP256,
    EcdsaP384,
    Ed25519,
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    #[value(name = "ml-dsa-87")]
    MlDsa87,
}

/// What is to be issued.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names of the server; none means [`Name::defaults`].
    pub names: Vec<Name>,
    /// Of the server's key, and of the CA's if one is made.
    pub algorithm: Algorithm,
    /// Life of the server certificate in days, 1 to [`MAX_DAYS`].
    pub days: u32,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            names: Name::defaults(),
            algorithm: Algorithm::default(),
            days: 1,
        }
    }
}
