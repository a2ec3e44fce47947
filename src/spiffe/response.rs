//! `X509SVIDResponse` (SPIFFE Workload API, workload.proto).

use zeroize::Zeroizing;

use super::error::Error;
use super::protobuf::{Fields, Value};

/// More than an agent gives a workload.
const MOST_SVIDS: usize = 64;
const MOST_FEDERATED: usize = 1024;
const MOST_LISTS: usize = 128;

/// What the agent says of this workload.
#[derive(Default)]
pub struct Response {
    /// Its identities, the default one first.
    pub svids: Vec<Svid>,
    /// The bundles of other trust domains: SPIFFE ID of the domain, and certificates in DER.
    pub federated: Vec<(String, Vec<u8>)>,
    /// Revocation lists in DER, of all these domains.
    pub revocation_lists: Vec<Vec<u8>>,
}

/// One identity.
#[derive(Default)]
pub struct Svid {
    /// `spiffe://domain/path`.
    pub id: String,
    /// Certificates in DER one after the other, the leaf first.
    pub chain: Vec<u8>,
    /// PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
    /// The CAs of its trust domain, as the chain.
    pub bundle: Vec<u8>,
    /// What the operator of the agent calls it, to tell several apart.
    pub hint: String,
}

impl Response {
    /// The identity with this hint, the first of several; without a hint the default one, which is the
    /// first (Workload API §5.2.1).
    pub fn chosen(&self, hint: Option<&str>) -> Option<&Svid> {
        let mut svids = self.svids.iter();
        svids.find(|svid| hint.is_none_or(|hint| svid.hint == hint))
    }

    pub(super) fn decode(message: &[u8]) -> Result<Self, Error> {
        let mut response = Self::default();
        for field in Fields(message) {
            match field? {
                (1, Value::Bytes(svid)) => response.svids.push(Svid::decode(svid)?),
                (2, Value::Bytes(list)) => response.revocation_lists.push(list.to_vec()),
                (3, Value::Bytes(entry)) => response.federated.push(entry_of_map(entry)?),
                _ => {}
            }
            let too_many = response.svids.len() > MOST_SVIDS
                || response.federated.len() > MOST_FEDERATED
                || response.revocation_lists.len() > MOST_LISTS;
            if too_many {
                return Err(Error::Malformed(
                    "more identities, bundles or revocation lists than anybody has",
                ));
            }
        }
        Ok(response)
    }
}

impl Svid {
    fn decode(message: &[u8]) -> Result<Self, Error> {
        let mut svid = Self::default();
        for field in Fields(message) {
            match field? {
                (1, Value::Bytes(id)) => svid.id = text(id)?,
                (2, Value::Bytes(chain)) => svid.chain = chain.to_vec(),
                (3, Value::Bytes(key)) => svid.key = Zeroizing::new(key.to_vec()),
                (4, Value::Bytes(bundle)) => svid.bundle = bundle.to_vec(),
                (5, Value::Bytes(hint)) => svid.hint = text(hint)?,
                _ => {}
            }
        }
        Ok(svid)
    }
}

fn entry_of_map(message: &[u8]) -> Result<(String, Vec<u8>), Error> {
    let mut entry = (String::new(), Vec::new());
    for field in Fields(message) {
        match field? {
            (1, Value::Bytes(key)) => entry.0 = text(key)?,
            (2, Value::Bytes(value)) => entry.1 = value.to_vec(),
            _ => {}
        }
    }
    Ok(entry)
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= 2048);
    text.map(str::to_owned).ok_or(Error::Malformed(
        "a name is no text, or longer than 2048 bytes",
    ))
}
