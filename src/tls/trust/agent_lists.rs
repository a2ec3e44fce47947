//! Revocation lists that an agent sends (SPIFFE Workload API, `crl`): those of all trust domains in one
//! answer, each with no more than the name of its issuer. CAs of two domains may have one name, and so
//! may the old and the new CA of one domain; a list counts for the CA whose key signed it.

use rustls::pki_types::{CertificateRevocationListDer, SignatureVerificationAlgorithm};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::revocation::{self, Known};
use crate::tls::cas::Signer;
use crate::tls::credentials::SIZE_LIMIT;

/// The lists of one answer.
#[derive(Default)]
pub(super) struct AgentLists {
    lists: Vec<List>,
    /// From when to when the one counts that has to be replaced first, unix seconds.
    pub(super) first_end: Option<(i64, i64)>,
    pub(super) warnings: Vec<String>,
}

struct List {
    der: CertificateRevocationListDer<'static>,
    issuer: Vec<u8>,
    /// How messages call the issuer.
    issuer_text: String,
    is_signed: bool,
}

/// Which lists count for the clients of one domain: those of its CAs by their places, and those of CAs that only a client
/// sends.
pub(super) struct OfDomain {
    pub(super) by_signer: Vec<Vec<CertificateRevocationListDer<'static>>>,
    pub(super) others: Vec<CertificateRevocationListDer<'static>>,
}

impl AgentLists {
    /// Reads them, in DER, at `now` (unix seconds).
    pub(super) fn parse(ders: &[Vec<u8>], now: i64) -> Result<Self, String> {
        let bytes: u64 = ders.iter().map(|der| der.len() as u64).sum();
        if bytes > SIZE_LIMIT {
            return Err(format!(
                "its revocation lists have {bytes} bytes, more than {SIZE_LIMIT}"
            ));
        }
        let mut all = Self::default();
        // In an order of their own: an agent sends them in any.
        let mut ders: Vec<_> = ders.iter().enumerate().collect();
        ders.sort_by(|one, other| one.1.cmp(other.1));
        ders.dedup_by(|one, other| one.1 == other.1);
        for (index, der) in ders {
            let wrong =
                |cause: String| format!("of its revocation lists, number {}: {cause}", index + 1);
            let Known {
                issuer,
                issuer_text,
                this_update,
                next_update,
            } = revocation::read(der).map_err(wrong)?;
            all.warnings.extend(revocation::out_of_date(
                "the agent",
                &issuer_text,
                next_update,
                now,
            ));
            let validity = (this_update, next_update);
            all.first_end = Some(revocation::first(all.first_end, validity));
            all.lists.push(List {
                der: der.clone().into(),
                issuer,
                issuer_text,
                is_signed: false,
            });
        }
        Ok(all)
    }

    /// What was read, in an order that is always the same.
    pub(super) fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.lists.iter().map(|list| list.der.as_ref())
    }

    /// Distributes them among domains, each with its CAs. One that neither a CA of its name signed nor can be that of
    /// an intermediate CA is an error.
    pub(super) fn distribute(mut self, domains: &[&[Signer]]) -> Result<Vec<OfDomain>, String> {
        let mut distributed: Vec<_> = domains.iter().map(|domain| self.signed(domain)).collect();
        for list in self.lists.into_iter().filter(|list| !list.is_signed) {
            let mut is_used = false;
            for (domain, of_domain) in domains.iter().zip(&mut distributed) {
                if domain.iter().all(|signer| signer.name != list.issuer) {
                    of_domain.others.push(list.der.clone());
                    is_used = true;
                }
            }
            if !is_used {
                return Err(format!(
                    "its revocation list of `{}` is not signed by the CA of that name",
                    list.issuer_text
                ));
            }
        }
        Ok(distributed)
    }

    fn signed(&mut self, signers: &[Signer]) -> OfDomain {
        let mut by_signer = Vec::with_capacity(signers.len());
        for signer in signers {
            let mut own = Vec::new();
            for list in &mut self.lists {
                if is_signed_by(list, signer) {
                    list.is_signed = true;
                    own.push(list.der.clone());
                }
            }
            by_signer.push(own);
        }
        OfDomain {
            by_signer,
            others: Vec::new(),
        }
    }
}

/// Whether the signer issued this list. It decides only for whom the list counts: the verifier verifies the
/// signature again, with the algorithms that its listener admits.
fn is_signed_by(list: &List, signer: &Signer) -> bool {
    if list.issuer != signer.name {
        return false;
    }
    let Ok((_, parsed)) = CertificateRevocationList::from_der(&list.der) else {
        return false;
    };
    let oid = parsed.signature_algorithm.algorithm.as_bytes();
    let signed = parsed.tbs_cert_list.as_ref();
    let signature = parsed.signature_value.data.as_ref();
    // An AlgorithmIdentifier begins with the tag and the length of its OID.
    let of_kind = |algorithm: &dyn SignatureVerificationAlgorithm| {
        let id = algorithm.signature_alg_id();
        id.as_ref().get(2..).is_some_and(|id| id.starts_with(oid))
    };
    let algorithms = rustls_post_quantum::provider().signature_verification_algorithms;
    let mut candidates = algorithms
        .all
        .iter()
        .filter(|algorithm| of_kind(**algorithm));
    candidates.any(|algorithm| {
        let verified = algorithm.verify_signature(&signer.key, signed, signature);
        verified.is_ok()
    })
}
