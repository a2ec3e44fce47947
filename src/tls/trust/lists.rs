//! Revocation lists and the CAs that they are of. CAs of two trust domains may have one name, and so may the old and
//! the new CA of one; a list counts for the CA whose key signed it. Of two lists of one CA the newer counts: the
//! verifier of the library looks for a list by the issuer's name and takes the first.

use rustls::pki_types::CertificateRevocationListDer;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::X509Name;

use super::known::{Known, read};
use crate::tls::cas::Signer;
use crate::tls::credentials::{SIZE_LIMIT, rfc3339};
use crate::tls::signed_by::is_signed_by;

/// What is to be said of a list that the library does not find for its CA.
const MISNAMED: &str = "does not count for one of the CAs: it writes the name in other bytes than the certificate of the CA that signed it (another string type or letter case), and names are compared byte by byte here; issue it again with the CA's subject as it stands";

pub(super) type Der = CertificateRevocationListDer<'static>;

/// The lists of a file or of an agent's answer, the newest first.
#[derive(Debug)]
pub(super) struct Lists {
    /// How messages call their source.
    from: String,
    lists: Vec<List>,
}

#[derive(Debug)]
struct List {
    der: Vec<u8>,
    known: Known,
    is_signed: bool,
    /// One of the CAs signed it, and it writes that CA's name in another string type or letter case. The name is the
    /// same (RFC 5280, section 7.1), but the library compares bytes and finds no list of that CA.
    is_misnamed: bool,
    /// One of those CAs has no other list.
    is_wanted: bool,
    /// A newer one of the same issuer and scope replaces it wherever it could count.
    use_of: Use,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    None,
    Replaced,
    Counts,
}

/// Which lists count for the clients of one domain: those of its CAs by their places, and those of CAs that only a client
/// sends.
pub(super) struct OfDomain {
    pub(super) by_signer: Vec<Vec<Der>>,
    pub(super) others: Vec<Der>,
}

/// What is to be said of lists.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// From when to when the one counts that has to be replaced first, unix seconds.
    pub(super) first_end: Option<(i64, i64)>,
    pub(super) warnings: Vec<String>,
}

impl Lists {
    pub(super) fn new(from: String, lists: impl Iterator<Item = (Vec<u8>, Known)>) -> Self {
        let mut lists: Vec<_> = lists
            .map(|(der, known)| List {
                der,
                known,
                is_signed: false,
                is_misnamed: false,
                is_wanted: false,
                use_of: Use::None,
            })
            .collect();
        // An agent sends them in any order; the last key makes it always the same.
        lists.sort_by(|one, other| {
            let newer = other.known.age().cmp(&one.known.age());
            newer.then_with(|| one.der.cmp(&other.der))
        });
        lists.dedup_by(|one, other| one.der == other.der);
        Self { from, lists }
    }

    /// Those of an agent, in DER.
    pub(super) fn of_agent(ders: &[Vec<u8>]) -> Result<Self, String> {
        let bytes: u64 = ders.iter().map(|der| der.len() as u64).sum();
        if bytes > SIZE_LIMIT {
            return Err(format!(
                "its revocation lists have {bytes} bytes, more than {SIZE_LIMIT}"
            ));
        }
        let known = ders.iter().enumerate().map(|(index, der)| {
            let wrong = |cause| format!("of its revocation lists, number {}: {cause}", index + 1);
            Ok((der.clone(), read(der).map_err(wrong)?))
        });
        let known = known.collect::<Result<Vec<_>, String>>()?;
        Ok(Self::new("the agent".to_owned(), known.into_iter()))
    }

    /// What was read, in an order that is always the same.
    pub(super) fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.lists.iter().map(|list| list.der.as_slice())
    }

    /// Distributes them among domains, each with its CAs. One that neither a CA of its name signed nor can be that of
    /// an intermediate CA is an error, and one that the library does not find for its CA.
    pub(super) fn distribute(&mut self, domains: &[&[Signer]]) -> Result<Vec<OfDomain>, String> {
        let by_signer = domains.iter().map(|domain| self.signed(domain));
        let by_signer: Vec<_> = by_signer.collect();
        if let Some(list) = self.lists.iter().find(|list| list.is_missed()) {
            return Err(format!(
                "its revocation list of `{}` {MISNAMED}",
                list.known.issuer_text
            ));
        }
        let unnamed = |list: &List, domain: &[Signer]| {
            domain.iter().all(|signer| signer.name != list.known.issuer)
        };
        let unused = self
            .lists
            .iter()
            .find(|list| !list.is_signed && !domains.iter().any(|domain| unnamed(list, domain)));
        if let Some(list) = unused {
            return Err(format!(
                "its revocation list of `{}` is not signed by the CA of that name",
                list.known.issuer_text
            ));
        }
        let distributed = domains.iter().zip(by_signer);
        Ok(distributed
            .map(|(domain, by_signer)| OfDomain {
                by_signer,
                others: self.newest(false, |list| !list.is_signed && unnamed(list, domain)),
            })
            .collect())
    }

    /// The same for the CAs of a file. A list that none of them signed is for an intermediate CA; one that a CA of its
    /// name did not sign is found by the verifier, which refuses that CA's clients. One that is misnamed goes there too:
    /// without any list the verifier would look for none.
    pub(super) fn of_signers(&mut self, signers: &[Signer]) -> OfDomain {
        OfDomain {
            by_signer: self.signed(signers),
            others: self.newest(false, |list| !list.is_signed),
        }
    }

    /// What is to be said at `now` (unix seconds) of those that were distributed.
    pub(super) fn standing(&self, now: i64) -> Standing {
        let mut standing = Standing::default();
        let from = &self.from;
        for list in &self.lists {
            let known = &list.known;
            let (issuer, made) = (&known.issuer_text, rfc3339(known.this_update));
            if list.is_missed() {
                standing.warnings.push(format!(
                    "{from}: the revocation list of `{issuer}` made at {made} {MISNAMED}"
                ));
            }
            if list.is_missed() && !list.is_signed {
                continue;
            }
            match list.use_of {
                Use::None => {}
                Use::Replaced => standing.warnings.push(format!(
                    "{from}: the revocation list of `{issuer}` made at {made} does not count, because a newer one replaces it: remove it"
                )),
                Use::Counts => {
                    standing.warnings.extend(known.out_of_date(from, now));
                    let validity = (known.this_update, known.next_update);
                    standing.first_end = Some(first(standing.first_end, validity));
                }
            }
        }
        standing
    }

    fn signed(&mut self, signers: &[Signer]) -> Vec<Vec<Der>> {
        let mut by_signer = Vec::with_capacity(signers.len());
        for signer in signers {
            let own: Vec<_> = self.lists.iter().map(|list| is_of(list, signer)).collect();
            let has_own = own.contains(&true);
            for (list, own) in self.lists.iter_mut().zip(&own) {
                list.is_signed |= own;
                let misnamed = is_misnamed(list, signer);
                list.is_misnamed |= misnamed;
                list.is_wanted |= misnamed && !has_own;
            }
            let mut own = own.into_iter();
            by_signer.push(self.newest(true, |_| own.next().unwrap_or(false)));
        }
        by_signer
    }

    /// Of the lists that are `wanted` the newest of each issuer, key and scope, the newest of all first. One key signed all
    /// of them where they are `of_one_key`.
    fn newest(&mut self, of_one_key: bool, mut wanted: impl FnMut(&List) -> bool) -> Vec<Der> {
        let mut counting: Vec<&List> = Vec::new();
        let mut uses = Vec::with_capacity(self.lists.len());
        for list in &self.lists {
            let is_wanted = wanted(list);
            let replaced = counting
                .iter()
                .any(|newer| newer.known.replaces(&list.known, of_one_key));
            uses.push(match (is_wanted, replaced) {
                (false, _) => Use::None,
                (true, true) => Use::Replaced,
                (true, false) => Use::Counts,
            });
            if is_wanted && !replaced {
                counting.push(list);
            }
        }
        let ders = counting.iter().map(|list| list.der.clone().into());
        let ders = ders.collect();
        for (list, use_of) in self.lists.iter_mut().zip(uses) {
            // What counts anywhere counts.
            if list.use_of != Use::Counts && use_of != Use::None {
                list.use_of = use_of;
            }
        }
        ders
    }
}

impl List {
    /// Whether a CA that signed it has no list for its name, or it counts for none.
    fn is_missed(&self) -> bool {
        self.is_wanted || self.is_misnamed && !self.is_signed
    }
}

/// Of two lists, the validity of the one that ends first.
fn first(known: Option<(i64, i64)>, next: (i64, i64)) -> (i64, i64) {
    known.filter(|known| known.1 <= next.1).unwrap_or(next)
}

/// Whether the signer issued this list.
fn is_of(list: &List, signer: &Signer) -> bool {
    list.known.issuer == signer.name && is_signed_with_key_of(list, signer)
}

/// Whether the signer issued this list, and it writes the signer's name in other bytes.
fn is_misnamed(list: &List, signer: &Signer) -> bool {
    let name = |der| X509Name::from_der(der).map(|(_, name)| name);
    list.known.issuer != signer.name
        && match (name(&list.known.issuer), name(&signer.name)) {
            (Ok(one), Ok(other)) => hybridge_names::same(&one, &other),
            _ => false,
        }
        && is_signed_with_key_of(list, signer)
}

/// It decides only for whom the list counts: the verifier verifies the signature again, with the algorithms that its
/// listener admits.
fn is_signed_with_key_of(list: &List, signer: &Signer) -> bool {
    let Ok((_, parsed)) = CertificateRevocationList::from_der(&list.der) else {
        return false;
    };
    is_signed_by(
        &signer.key,
        &parsed.signature_algorithm,
        parsed.tbs_cert_list.as_ref(),
        &parsed.signature_value.data,
    )
}
