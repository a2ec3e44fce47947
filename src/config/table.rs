//! One table of `[[listener.tls.certificate]]`, not yet read.

use super::error::Error;
use super::origin::Origin;
use super::value::Located;
use crate::suggest::suggest_or_alias;

/// Where the tables stand in a file.
pub(super) const SECTION: &str = "listener.tls.certificate";

const NAMES: [&str; 3] = ["cert", "key", "names"];

/// One table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) origin: Origin,
    pub(super) cert: Option<Located>,
    pub(super) key: Option<Located>,
    pub(super) names: Option<Located>,
}

impl Table {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            cert: None,
            key: None,
            names: None,
        }
    }

    pub(super) fn insert(&mut self, name: &str, given: Located) -> Result<(), Error> {
        let place = match name {
            "cert" => &mut self.cert,
            "key" => &mut self.key,
            "names" => &mut self.names,
            _ => {
                let nearest = suggest_or_alias(name, NAMES, &[]);
                return Err(Error::UnknownKey {
                    at: given.origin,
                    hint: nearest.map_or_else(
                        || format!("known here are {}", NAMES.join(", ")),
                        |name| format!("did you mean `{name}`?"),
                    ),
                });
            }
        };
        *place = Some(given);
        Ok(())
    }
}
