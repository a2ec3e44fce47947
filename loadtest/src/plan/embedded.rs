//! The plans that come with the tool.

use std::path::Path;

use hybridge_redact::Shown;

use super::Plan;
use super::file::parse;
use crate::error::{Error, Result};
use crate::regular;

/// Bytes of a plan's file.
const LARGEST: u64 = 1 << 20;

pub(super) const EMBEDDED: [(&str, &str); 15] = [
    ("quick", include_str!("../../plans/quick.toml")),
    ("full", include_str!("../../plans/full.toml")),
    ("check", include_str!("../../plans/check.toml")),
    (
        "gradient-exchange",
        include_str!("../../plans/gradient-exchange.toml"),
    ),
    (
        "token-stream",
        include_str!("../../plans/token-stream.toml"),
    ),
    ("peers", include_str!("../../plans/peers.toml")),
    ("peers-h2", include_str!("../../plans/peers-h2.toml")),
    ("peers-mtls", include_str!("../../plans/peers-mtls.toml")),
    (
        "peers-ghostunnel",
        include_str!("../../plans/peers-ghostunnel.toml"),
    ),
    (
        "peers-egress",
        include_str!("../../plans/peers-egress.toml"),
    ),
    (
        "peers-egress-resumed",
        include_str!("../../plans/peers-egress-resumed.toml"),
    ),
    (
        "peers-tokens",
        include_str!("../../plans/peers-tokens.toml"),
    ),
    ("scale", include_str!("../../plans/scale.toml")),
    ("scale-peers", include_str!("../../plans/scale-peers.toml")),
    ("workers", include_str!("../../plans/workers.toml")),
];

/// Loads a plan by the name of one that comes along, or by path.
pub fn load(name: &str) -> Result<Plan> {
    if let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
        return parse(name, text);
    }
    let path = Path::new(name);
    if !path.exists() {
        let known: Vec<_> = EMBEDDED.iter().map(|(known, _)| *known).collect();
        return Err(Error::Usage(format!(
            "no plan \"{}\": neither a file nor one of {}",
            Shown::path(path),
            known.join(", ")
        )));
    }
    parse(name, &regular::text(path, LARGEST)?)
}
