//! Which clients a listener trusts: CAs, revocation lists and rules, loaded, checked and replaced as one.
//!
//! A certificate that is presented is verified inside the handshake, in `optional` mode too: none is
//! fine there, a bad one is not. Sources: RFC 5280 §6, RFC 8446 §4.4.2.4.

mod any_of;
mod bundles;
mod chains;
mod choice;
mod domains;
mod error;
mod every_list;
mod generation;
mod known;
mod lists;
mod nobody;
mod noted;
mod revocation;
mod settings;
mod signatures;
mod store;
mod verifier;

pub use self::bundles::LastBundles;
pub(super) use self::bundles::{Bundle, Bundles, Followed};
pub use self::error::TrustError;
pub use self::generation::Trust;
pub(super) use self::noted::Noted;
pub use self::settings::{ClientAuth, Settings};
pub use self::signatures::Signatures;
pub use self::store::TrustStore;
