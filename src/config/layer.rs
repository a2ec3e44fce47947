//! Settings by key from one source, laid over one another; the table of defaults lies beneath them all.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use strum::VariantNames;

use super::error::Error;
use super::key::Key;
use super::origin::Origin;
use super::table::Table;
use super::value::{Located, Raw};
use super::value_type::DefaultValue;
use crate::traces::Sample;

/// What was said, by key; a key that is absent has its default.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    values: BTreeMap<Key, Located>,
    /// The tables of `[[listener.tls.certificate]]`; only a file has them.
    pub(super) certificates: Vec<Table>,
    /// Where a key that is missing should have stood; `None`: on the command line.
    origin: Option<Origin>,
}

impl Layer {
    pub(super) fn new(origin: Option<Origin>) -> Self {
        Self {
            values: BTreeMap::new(),
            certificates: Vec::new(),
            origin,
        }
    }

    pub(super) fn insert(&mut self, key: Key, given: Located) {
        self.values.insert(key, given);
    }

    /// This layer's word where it has one, the lower layer's elsewhere.
    pub(super) fn layered_over(self, mut lower: Self) -> Self {
        lower.values.extend(self.values);
        lower
    }

    /// Nobody wrote anything.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.certificates.is_empty()
    }

    /// The keys that somebody wrote.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.values.keys().copied()
    }

    /// What somebody wrote.
    pub(super) fn explicit(&self, key: Key) -> Option<&Located> {
        self.values.get(&key)
    }

    /// What holds: somebody's word or the fixed default.
    pub(super) fn given(&self, key: Key) -> Option<Located> {
        self.explicit(key).cloned().or_else(|| match key.default() {
            DefaultValue::Fixed(text) => Some(Located {
                raw: Raw::Word(text.to_owned()),
                origin: Origin::Default,
            }),
            DefaultValue::Derived(_) | DefaultValue::Required => None,
        })
    }

    /// What holds, or the error that says what to write.
    pub(super) fn required(&self, key: Key) -> Result<Located, Error> {
        self.given(key).ok_or_else(|| Error::Missing {
            at: self.place(key),
            remedy: remedy(key),
        })
    }

    /// Where a key stands, or where it would.
    pub(super) fn place(&self, key: Key) -> Origin {
        match (self.explicit(key), &self.origin) {
            (Some(given), _) => given.origin.clone(),
            (None, Some(origin)) => origin.with_key(key),
            (None, None) => Origin::flag_of(key),
        }
    }

    pub(super) fn text(&self, key: Key) -> Result<String, Error> {
        self.required(key)?.text(key).map(str::to_owned)
    }

    pub(super) fn list(&self, key: Key) -> Result<Vec<String>, Error> {
        self.required(key)?.list(key)
    }

    pub(super) fn count<T: TryFrom<u64>>(&self, key: Key) -> Result<T, Error> {
        self.required(key)?.count(key)
    }

    pub(super) fn ratio(&self, key: Key) -> Result<Sample, Error> {
        self.required(key)?.ratio(key)
    }

    pub(super) fn switch(&self, key: Key) -> Result<bool, Error> {
        self.required(key)?.switch(key)
    }

    pub(super) fn duration(&self, key: Key) -> Result<Duration, Error> {
        self.required(key)?.duration(key)
    }

    pub(super) fn timeout(&self, key: Key) -> Result<Option<Duration>, Error> {
        self.required(key)?.timeout(key)
    }

    pub(super) fn size(&self, key: Key) -> Result<usize, Error> {
        self.required(key)?.size(key)
    }

    pub(super) fn choice<T: FromStr + VariantNames>(&self, key: Key) -> Result<T, Error> {
        self.required(key)?.choice(key)
    }
}

pub(super) fn remedy(key: Key) -> &'static str {
    match key {
        Key::Cert => {
            "name the PEM file with the certificate chain; `hybridge certs` makes a pair to try with"
        }
        Key::PrivateKey => {
            "name the PEM file with the private key; `hybridge certs` makes a pair to try with"
        }
        Key::ClientCa => "name the PEM file with the CAs that certify clients",
        Key::AllowUri => {
            "say which clients are allowed: allow-uri, allow-dns, allow-ip or allow-cn, or allow-any = true for every client that client-ca certifies"
        }
        Key::EgressCa => {
            "name the PEM file with the CAs that certify the servers, or `system` for the host's own bundle; no server is trusted without it"
        }
        Key::EgressCert => {
            "a key without its certificate shows nobody who we are: name both, or none"
        }
        Key::EgressKey => "a certificate without its key proves nothing: name both, or none",
        Key::EgressListen => "say where apps connect, for example 127.0.0.1:9000",
        Key::TargetsAllowed => {
            "say which targets apps may name, for example *.train:* or 10.77.0.0/16:1024-65535; an egress is no open relay"
        }
        Key::EgressTarget => "say where its connections go, for example store.example.org:443",
        Key::Listen => "say where to accept TLS, for example 0.0.0.0:8443",
        Key::TracesCa => {
            "name the PEM file with the CAs that certify the collector, or `system` for the host's own bundle; no collector is trusted without it"
        }
        Key::Upstream => "say where the upstream listens, for example 127.0.0.1:8000",
        Key::SignatureKeys => "name the JWK set with the clients' keys",
        _ => "it has no default",
    }
}
