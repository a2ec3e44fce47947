//! Issuing: a CA, made new or loaded from files, and the certificates it signs.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::tls::credentials::Credentials;

use super::ca_key::{CaKey, LoadedKey};
use super::client::Client;
use super::error::CertgenError;
use super::name::Name;
use super::request::{Algorithm, MAX_DAYS, Request};

/// Clocks differ: a certificate is valid a little before it was made.
const CLOCK_TOLERANCE: Duration = Duration::hours(1);
/// Upper bound of a common name (RFC 5280, appendix A.1, ub-common-name).
const COMMON_NAME_LIMIT: usize = 64;

/// A certificate of a server or a client and its key, as PEM.
pub(super) struct Leaf {
    pub(super) cert: String,
    pub(super) key: Zeroizing<String>,
}

/// A CA and a server certificate it issued, as PEM. Keys are PKCS#8, wiped when dropped.
pub struct Generated {
    pub ca_cert: String,
    pub cert: String,
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generated")
            .field("ca_cert", &self.ca_cert)
            .field("cert", &self.cert)
            .finish_non_exhaustive()
    }
}

/// A CA that can issue.
pub(super) struct Ca {
    issuer: Issuer<'static, CaKey>,
    der: CertificateDer<'static>,
    /// PEM of the certificate, if it was made here.
    cert_pem: String,
    not_after: OffsetDateTime,
}

impl Ca {
    /// A new one called `title`, which lives `extra` longer than the life in `request`.
    pub(super) fn generate(
        title: &str,
        request: &Request,
        now: OffsetDateTime,
        extra: Duration,
    ) -> Result<Self, CertgenError> {
        let key = request.algorithm.generate()?;
        let mut params = params(request, now)?;
        params.not_after += extra;
        let serial = serial()?;
        // CAs made one after the other must not look alike to a client that knows both.
        let id = u32::from_be_bytes([serial[1], serial[2], serial[3], serial[4]]);
        params.distinguished_name = distinguished_name(Some(&format!("{title} {id:08x}")));
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let cert = params.self_signed(&key).map_err(CertgenError::Issue)?;
        Ok(Self {
            der: cert.der().clone(),
            cert_pem: cert.pem(),
            not_after: params.not_after,
            issuer: Issuer::new(params, CaKey::New(key)),
        })
    }

    /// The one in `cert` and `key`, with the checks that any pair has to pass.
    pub(super) fn load(cert: &Path, key: &Path) -> Result<Self, CertgenError> {
        let credentials = Credentials::load(cert, key).map_err(CertgenError::Ca)?;
        let not_a_ca = || CertgenError::NotACa {
            path: cert.to_owned(),
        };
        let certified_key = credentials.certified_key();
        let der = certified_key.cert.first().ok_or_else(not_a_ca)?;
        let (_, x509) = X509Certificate::from_der(der).map_err(|_| not_a_ca())?;
        if !x509.is_ca() {
            return Err(not_a_ca());
        }
        let key = LoadedKey::new(Arc::clone(&certified_key.key), &x509);
        let key = CaKey::Loaded(key.ok_or_else(not_a_ca)?);
        Ok(Self {
            not_after: x509.validity().not_after.to_datetime(),
            issuer: Issuer::from_ca_cert_der(der, key).map_err(CertgenError::Issue)?,
            der: der.clone(),
            cert_pem: String::new(),
        })
    }

    /// What clients have to trust.
    pub(super) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// PEM of the certificate, if it was made here.
    pub(super) fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// PEM of the key, if it was made here.
    pub(super) fn key_pem(&self) -> Zeroizing<String> {
        match self.issuer.key() {
            CaKey::New(key) => Zeroizing::new(key.serialize_pem()),
            CaKey::Loaded(_) => Zeroizing::default(),
        }
    }

    /// A new key and a server certificate for it.
    pub(super) fn issue(
        &self,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Leaf, CertgenError> {
        let names = names(request);
        let subject = Subject {
            common_name: Some(title(&names)),
            names: alternative_names(&names)?,
            purpose: ExtendedKeyUsagePurpose::ServerAuth,
        };
        self.sign(subject, request, now)
    }

    /// The same, with the certificate of the CA.
    pub(super) fn issue_beside(
        &self,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Generated, CertgenError> {
        let Leaf { cert, key } = self.issue(request, now)?;
        Ok(Generated {
            ca_cert: self.cert_pem.clone(),
            cert,
            key,
        })
    }

    /// A new key and a certificate for it that says who its holder is as a client; the names in `request` are
    /// not used.
    pub(super) fn issue_client(
        &self,
        client: &Client,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Leaf, CertgenError> {
        let names = match client {
            Client::Uri(uri) => {
                let uri = uri.as_str().try_into().map_err(CertgenError::Issue)?;
                vec![SanType::URI(uri)]
            }
            Client::Name(name) => alternative_names(std::slice::from_ref(name))?,
        };
        let subject = Subject {
            common_name: client.common_name().map(fitting),
            names,
            purpose: ExtendedKeyUsagePurpose::ClientAuth,
        };
        self.sign(subject, request, now)
    }

    fn sign(
        &self,
        subject: Subject,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Leaf, CertgenError> {
        let key = request.algorithm.generate()?;
        let mut params = params(request, now)?;
        if params.not_after > self.not_after {
            return Err(CertgenError::CaEndsFirst {
                not_after: self.not_after.unix_timestamp(),
                days: request.days,
            });
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial()?));
        params.subject_alt_names = subject.names;
        params.distinguished_name = distinguished_name(subject.common_name.as_deref());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![subject.purpose];
        params.use_authority_key_identifier_extension = true;
        let cert = params
            .signed_by(&key, &self.issuer)
            .map_err(CertgenError::Issue)?;
        Ok(Leaf {
            cert: cert.pem(),
            key: Zeroizing::new(key.serialize_pem()),
        })
    }
}

/// Whose certificate it is, and what for.
struct Subject {
    /// Without one the subject is empty and the alternative names are critical.
    common_name: Option<String>,
    names: Vec<SanType>,
    purpose: ExtendedKeyUsagePurpose,
}

/// The dates of a certificate; the rest is filled in by who uses them.
fn params(request: &Request, now: OffsetDateTime) -> Result<CertificateParams, CertgenError> {
    let days = request.days;
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(CertgenError::Days { days });
    }
    let mut params = CertificateParams::default();
    params.not_before = now - CLOCK_TOLERANCE;
    params.not_after = now + Duration::days(i64::from(days));
    Ok(params)
}

fn names(request: &Request) -> Vec<Name> {
    match request.names.as_slice() {
        [] => Name::defaults(),
        names => names.to_vec(),
    }
}

/// The subject repeats the first name where it fits; clients look only at the alternative names.
fn title(names: &[Name]) -> String {
    fitting(names.first().map(ToString::to_string).unwrap_or_default())
}

fn fitting(name: String) -> String {
    match name.len() {
        1..=COMMON_NAME_LIMIT => name,
        _ => "hybridge".to_owned(),
    }
}

fn distinguished_name(common_name: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    if let Some(name) = common_name {
        distinguished.push(DnType::CommonName, name);
    }
    distinguished
}

fn alternative_names(names: &[Name]) -> Result<Vec<SanType>, CertgenError> {
    let alternative_name = |name: &Name| {
        Ok(match name {
            Name::Address(address) => SanType::IpAddress(*address),
            Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        })
    };
    let names = names.iter().map(alternative_name);
    names.collect::<Result<_, _>>().map_err(CertgenError::Issue)
}

/// 126 random bits behind `01`: positive, of one length, and unlikely to repeat (RFC 5280, 4.1.2.2).
fn serial() -> Result<[u8; 16], CertgenError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| CertgenError::Randomness)?;
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial)
}

impl Algorithm {
    fn rcgen(self) -> &'static SignatureAlgorithm {
        match self {
            Self::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
            Self::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
            Self::MlDsa44 => &rcgen::PKCS_ML_DSA_44,
            Self::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
            Self::MlDsa87 => &rcgen::PKCS_ML_DSA_87,
        }
    }

    /// A new key pair; RSA of 2048 bits.
    fn generate(self) -> Result<KeyPair, CertgenError> {
        KeyPair::generate_for(self.rcgen()).map_err(CertgenError::Issue)
    }
}
