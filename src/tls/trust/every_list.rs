//! Several revocation lists of one CA, each about the certificates of one distribution point (RFC 5280 §5.2.5). The
//! verifier of the library takes the first list that may be about a certificate; for one that names no distribution
//! point that is any of them. Such a certificate is looked for in all of them here.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, Error};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::X509Name;

use super::choice::{Choice, Chosen};
use super::lists::Der;

/// Lists that are looked through here, by the names of their issuers in DER: of issuers that have several, or all where
/// some are of CAs that only a client sends.
pub(super) struct Sought(HashMap<Vec<u8>, Vec<List>>);

/// What a list says.
#[derive(Debug)]
struct List {
    /// A CA that is known signed it, not one that only a client sends.
    is_own: bool,
    /// Which key of an issuer signed it, if that has to be told apart and it says so.
    key: Option<Vec<u8>>,
    /// Whether it is about certificates of CAs, and about others.
    of_cas: bool,
    of_others: bool,
    /// It is about all certificates of its issuer.
    is_full: bool,
    this_update: i64,
    next_update: i64,
    serials: HashSet<Vec<u8>>,
}

impl Sought {
    /// `own` are signed by CAs that are known, `others` by those that a client sends.
    pub(super) fn among(own: &[Der], others: &[Der]) -> Self {
        let mut by_issuer = HashMap::<_, Vec<_>>::new();
        let own = own.iter().map(|der| (der, true));
        for (der, is_own) in own.chain(others.iter().map(|der| (der, false))) {
            // What cannot be read was refused when it was loaded.
            if let Ok((_, list)) = CertificateRevocationList::from_der(der) {
                let of_issuer = by_issuer.entry(list.issuer().as_raw().to_vec());
                of_issuer.or_default().push(List::of(&list, is_own));
            }
        }
        // Beside lists of others, one alone too: what is out of date is not missed beside it, however each writes the name.
        by_issuer.retain(|_, lists| lists.len() > 1 || !others.is_empty());
        Self(by_issuer)
    }

    /// Those that may be about this certificate and that the library does not find.
    fn about(&self, certificate: &X509Certificate<'_>) -> impl Iterator<Item = &List> {
        let issuer = certificate.issuer();
        // The library finds the one that a certificate names.
        let several = (!names_its_list(certificate))
            .then(|| self.0.get(issuer.as_raw()))
            .flatten();
        let otherwise = self.0.iter().filter(|(name, lists)| {
            let is_other =
                name.as_slice() != issuer.as_raw() && lists.iter().any(|list| !list.is_own);
            is_other
                && X509Name::from_der(name)
                    .is_ok_and(|(_, name)| hybridge_names::same(&name, issuer))
        });
        let otherwise = otherwise
            .flat_map(|(_, lists)| lists)
            .filter(|list| !list.is_own);
        several.into_iter().flatten().chain(otherwise)
    }
}

fn names_its_list(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::CRLDistributionPoints(_)
        )
    })
}

impl List {
    fn of(list: &CertificateRevocationList<'_>, is_own: bool) -> Self {
        let (mut of_cas, mut of_others, mut is_full) = (true, true, true);
        for extension in list.extensions() {
            if let ParsedExtension::IssuingDistributionPoint(scope) = extension.parsed_extension() {
                is_full = false;
                of_cas = !scope.only_contains_user_certs;
                of_others = !scope.only_contains_ca_certs;
            }
        }
        let serials = list.iter_revoked_certificates();
        Self {
            is_own,
            key: key_of_issuer(list.extensions()).filter(|_| !is_own),
            of_cas,
            of_others,
            is_full,
            this_update: list.last_update().timestamp(),
            next_update: list.next_update().map_or(0, |next| next.timestamp()),
            serials: serials.map(|one| one.raw_serial().to_vec()).collect(),
        }
    }

    fn is_about(&self, certificate: &X509Certificate<'_>) -> bool {
        let of_its_kind = if certificate.is_ca() {
            self.of_cas
        } else {
            self.of_others
        };
        let issued_with = key_of_issuer(certificate.extensions());
        let keys = self.key.as_ref().zip(issued_with.as_ref());
        of_its_kind && keys.is_none_or(|(list, certificate)| list == certificate)
    }
}

/// Which key of its issuer signed it, as it says.
fn key_of_issuer(extensions: &[X509Extension<'_>]) -> Option<Vec<u8>> {
    extensions
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(key) => {
                Some(key.key_identifier.as_ref()?.0.to_vec())
            }
            _ => None,
        })
}

pub(super) struct EveryList {
    verifier: Arc<dyn ClientCertVerifier>,
    sought: Sought,
}

impl fmt::Debug for EveryList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EveryList")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

impl EveryList {
    /// Where there are none to look through the verifier stays what it is.
    pub(super) fn over(
        verifier: Arc<dyn ClientCertVerifier>,
        sought: Sought,
    ) -> Arc<dyn ClientCertVerifier> {
        if sought.0.is_empty() {
            return verifier;
        }
        Arc::new(Chosen(Self { verifier, sought }))
    }

    fn look_for(&self, der: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding)?;
        let lists = self.sought.about(&certificate);
        let lists: Vec<_> = lists.filter(|list| list.is_about(&certificate)).collect();
        let late = |list: &List| now.as_secs() >= u64::try_from(list.next_update).unwrap_or(0);
        for list in &lists {
            // A newer one about all says what this would say by now.
            let newer = |other: &&List| other.is_full && other.this_update >= list.this_update;
            let is_needed = !lists.iter().any(|other| newer(other) && !late(other));
            if is_needed && late(list) {
                let next = u64::try_from(list.next_update).unwrap_or(0);
                return Err(CertificateError::ExpiredRevocationListContext {
                    time: now,
                    next_update: UnixTime::since_unix_epoch(std::time::Duration::from_secs(next)),
                });
            }
            if list.serials.contains(certificate.raw_serial()) {
                return Err(CertificateError::Revoked);
            }
        }
        Ok(())
    }
}

impl Choice for EveryList {
    fn asked(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// All that the client sends is looked for, whether the chain needs it or not.
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .verifier
            .verify_client_cert(end_entity, intermediates, now)?;
        for certificate in std::iter::once(end_entity).chain(intermediates) {
            let found = self.look_for(certificate, now);
            found.map_err(Error::InvalidCertificate)?;
        }
        Ok(verified)
    }
}
