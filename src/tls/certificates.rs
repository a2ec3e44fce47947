//! The certificates of one listener: which pair a client gets, by the name it asks for (RFC 6066 section 3)
//! and the signatures it can verify (RFC 8446 section 4.2.3). Which clients may in never depends on the name.

mod advice;
mod name;
mod set;
mod settings;

pub use self::name::{ServedName, ServedNameError};
pub use self::set::CertificateSet;
pub use self::settings::{PairSettings, PqCertificate, Settings, UnknownName};
