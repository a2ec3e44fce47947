//! What a server presents, to clients of three kinds: those that verify every signature, classical ones
//! only, or ML-DSA only. Nothing is verified here: a scan looks at private CAs too.

mod handshake;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::SignatureScheme;
use serde::Serialize;

use self::handshake::{Failed, MAX_CHAIN, Seen, handshake};
use crate::certificate::{Certificate, describe, hex};
use crate::dial::Dial;
use crate::groups::{self, Kind, Known};
use crate::target::Target;

/// What the server presented.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Certificates {
    /// To a client that takes every scheme: the leaf first.
    pub chain: Vec<Certificate>,
    /// The scheme that the server signed with.
    pub scheme: Option<String>,
    /// The leaf for clients with classical schemes only, if that is another one.
    pub classical: Option<Certificate>,
    /// The leaf for clients with ML-DSA only: the server is ready for those.
    pub ml_dsa: Option<Certificate>,
    /// Cipher suite of the first handshake.
    pub suite: Option<String>,
    /// The server asked for a client certificate.
    pub asks_client: bool,
    /// Session tickets after the first handshake.
    pub tickets: u32,
    /// Which of these is a certificate that was sent and cannot be read.
    pub unreadable: Vec<Place>,
    /// Which of these the server may have all the same: its answer did not arrive.
    pub unknown: Vec<Place>,
}

/// Where a certificate stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The leaf to a client that takes every scheme. Without it the chain is empty.
    Leaf,
    /// One behind that leaf, which the chain goes without.
    Issuer,
    /// The leaf for clients with classical schemes only.
    Classical,
    /// The leaf for clients with ML-DSA only.
    MlDsa,
}

impl Place {
    /// Whose certificate that is.
    fn said(self) -> &'static str {
        match self {
            Self::Leaf => "the server's certificate",
            Self::Issuer => "a certificate behind the server's",
            Self::Classical => "the server's certificate for clients with classical schemes only",
            Self::MlDsa => "the server's certificate for clients with ML-DSA only",
        }
    }
}

impl Certificates {
    /// The server's own, if it was seen and can be read.
    pub fn leaf(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// Whether the server presented nothing that was seen.
    pub fn are_unseen(&self) -> bool {
        self.chain.is_empty() && self.unreadable.is_empty()
    }

    /// Whether one that stands there cannot be read.
    pub fn is_unreadable(&self, place: Place) -> bool {
        self.unreadable.contains(&place)
    }

    /// Whether the server may have one that stands there: it cannot be read, or no answer arrived.
    pub fn may_have(&self, place: Place) -> bool {
        self.is_unreadable(place) || self.unknown.contains(&place)
    }

    /// The leaf to a client with these schemes only, if the server has one for it. Only the server's own words say that it
    /// has none.
    fn leaf_for(
        &mut self,
        seen: Result<Seen, Failed>,
        place: Place,
        notes: &mut Vec<String>,
    ) -> Option<Vec<u8>> {
        let why = match seen {
            Ok(seen) if seen.scheme.is_some() => return seen.ders.into_iter().next(),
            Ok(seen) if seen.other_scheme => return None,
            Ok(seen) => seen.ended.unwrap_or_default(),
            Err(failed) if failed.alerted => return None,
            Err(failed) => failed.why,
        };
        self.unknown.push(place);
        notes.push(format!("{} is not known: {why}", place.said()));
        None
    }

    /// What a certificate says. Of one that cannot be read there is a note, and where it stood.
    fn read(&mut self, der: &[u8], place: Place, notes: &mut Vec<String>) -> Option<Certificate> {
        let found = describe(der);
        if found.is_none() {
            notes.push(format!(
                "{} cannot be read: {} bytes with SHA-256 {}",
                place.said(),
                der.len(),
                hex(digest(&SHA256, der).as_ref())
            ));
            if !self.is_unreadable(place) {
                self.unreadable.push(place);
            }
        }
        found
    }

    /// The chain of a handshake: none of it if the leaf cannot be read, or its issuer would stand in its place.
    fn read_chain(&mut self, seen: &Seen, notes: &mut Vec<String>) {
        let Some((leaf, issuers)) = seen.ders.split_first() else {
            return;
        };
        let Some(leaf) = self.read(leaf, Place::Leaf, notes) else {
            return;
        };
        self.chain.push(leaf);
        for der in issuers {
            let issuer = self.read(der, Place::Issuer, notes);
            self.chain.extend(issuer);
        }
        if seen.sent > seen.ders.len() {
            notes.push(format!(
                "the server sent {} certificates, of which {MAX_CHAIN} were looked at",
                seen.sent
            ));
        }
    }
}

/// Three handshakes, with those of the known groups that the server accepts; it accepts none of TLS 1.3 if
/// it speaks TLS 1.2 only.
pub fn collect(
    target: &Target,
    dial: Dial,
    accepted: &[u16],
    known: &[Known],
    notes: &mut Vec<String>,
) -> Certificates {
    let only_tls12 = accepted.is_empty();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if !only_tls12 {
        let groups = known.iter().map(|(_, group)| *group);
        let usable = groups.filter(|group| accepted.contains(&u16::from(group.name())));
        provider.kx_groups = usable.collect();
        // The smallest hello first: a middlebox in front of the server may drop larger ones.
        let is_large = |number: u16| groups::kind(number) != Kind::Classical;
        provider
            .kx_groups
            .sort_by_key(|group| is_large(group.name().into()));
        if provider.kx_groups.is_empty() {
            notes.push("no certificate was seen: no handshake can be made here with the groups that the server accepts".to_owned());
            return Certificates::default();
        }
    }
    let provider = Arc::new(provider);
    let handshake = |schemes: &[_]| handshake(target, dial, schemes, (&provider, only_tls12));
    let first = match handshake(&[CLASSICAL, ML_DSA].concat()) {
        Ok(seen) => seen,
        Err(failed) => {
            notes.push(format!("no certificate was seen: {}", failed.why));
            return Certificates::default();
        }
    };
    let mut found = Certificates {
        scheme: first.scheme.map(|scheme| scheme_name(scheme).to_owned()),
        suite: first.suite.clone(),
        asks_client: first.asks_client,
        tickets: first.tickets,
        ..Certificates::default()
    };
    found.read_chain(&first, notes);
    if only_tls12 {
        return found;
    }
    let classical = found.leaf_for(handshake(CLASSICAL), Place::Classical, notes);
    // The same one is no other.
    if let Some(der) = classical.filter(|der| Some(der) != first.ders.first()) {
        found.classical = found.read(&der, Place::Classical, notes);
    }
    if let Some(der) = found.leaf_for(handshake(ML_DSA), Place::MlDsa, notes) {
        found.ml_dsa = found.read(&der, Place::MlDsa, notes);
    }
    found
}

/// With IANA's names.
const ML_DSA: &[(SignatureScheme, &str)] = &[
    (SignatureScheme::ML_DSA_44, "mldsa44"),
    (SignatureScheme::ML_DSA_65, "mldsa65"),
    (SignatureScheme::ML_DSA_87, "mldsa87"),
];
const CLASSICAL: &[(SignatureScheme, &str)] = &[
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        "ecdsa_secp256r1_sha256",
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        "ecdsa_secp384r1_sha384",
    ),
    (
        SignatureScheme::ECDSA_NISTP521_SHA512,
        "ecdsa_secp521r1_sha512",
    ),
    (SignatureScheme::ED25519, "ed25519"),
    (SignatureScheme::RSA_PSS_SHA256, "rsa_pss_rsae_sha256"),
    (SignatureScheme::RSA_PSS_SHA384, "rsa_pss_rsae_sha384"),
    (SignatureScheme::RSA_PSS_SHA512, "rsa_pss_rsae_sha512"),
    (SignatureScheme::RSA_PKCS1_SHA256, "rsa_pkcs1_sha256"),
    (SignatureScheme::RSA_PKCS1_SHA384, "rsa_pkcs1_sha384"),
    (SignatureScheme::RSA_PKCS1_SHA512, "rsa_pkcs1_sha512"),
];

fn scheme_name(scheme: SignatureScheme) -> &'static str {
    let mut known = CLASSICAL.iter().chain(ML_DSA);
    known
        .find(|(known, _)| *known == scheme)
        .map_or("other", |(_, name)| name)
}

#[cfg(test)]
mod tests;
