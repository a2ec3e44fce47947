//! The further certificates of a listener: `[[listener.tls.certificate]]`, which only a file has.

use super::error::Error;
use super::key::Key;
use super::layer::{Layer, remedy};
use super::table::{SECTION, Table};
use super::value::Located;
use crate::tls::certificates::{PairSettings, ServedName, Settings};

pub(super) fn resolve(layer: &Layer) -> Result<Settings, Error> {
    if let Some(one_more) = layer.certificates.get(Settings::MOST) {
        return Err(Error::Refused {
            at: one_more.origin.clone(),
            problem: "a listener has at most 64 further certificates, because each is compared in every handshake: write another [[listener]], or a certificate with several names",
        });
    }
    let further = layer.certificates.iter().map(pair);
    Ok(Settings {
        further: further.collect::<Result<_, _>>()?,
        unknown_name: layer.choice(Key::UnknownName)?,
        pq_certificate: layer.choice(Key::PqCertificate)?,
    })
}

fn pair<'a>(table: &'a Table) -> Result<PairSettings, Error> {
    let given = |given: &'a Option<Located>, key: Key| {
        let missing = || Error::Missing {
            at: table.origin.with_path(&format!("{SECTION}.{}", key.name())),
            remedy: remedy(key),
        };
        given.as_ref().ok_or_else(missing)
    };
    Ok(PairSettings {
        cert: given(&table.cert, Key::Cert)?.text(Key::Cert)?.into(),
        key: given(&table.key, Key::PrivateKey)?.private_key(Key::PrivateKey)?,
        names: table
            .names
            .as_ref()
            .map(names)
            .transpose()?
            .unwrap_or_default(),
    })
}

fn names(given: &Located) -> Result<Vec<ServedName>, Error> {
    // The form is that of the lists of names that have a key of their own.
    let written = given.list(Key::AllowDns)?;
    let name = |text: &String| {
        text.parse().map_err(|problem| Error::ServedName {
            at: given.origin.clone(),
            problem,
        })
    };
    written.iter().map(name).collect()
}
