//! Who a client is by its verified certificate, and which rules let it in. Pure.

mod dns_rule;
mod error;
mod peer;
mod rules;
mod svid;
mod uri;
mod uri_rule;

pub use self::error::RuleError;
pub use self::peer::PeerIdentity;
pub use self::rules::Rules;
pub use self::svid::{SvidError, svid, trust_domain};
