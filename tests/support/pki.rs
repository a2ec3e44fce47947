//! A throw-away public key infrastructure for tests: one CA, and server certificates from
//! it that are good, or wrong in exactly one way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hybridge::certgen::Algorithm;
use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};

/// A CA that issues certificates for as long as a test runs.
pub(crate) struct TestPki {
    algorithm: Algorithm,
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

/// A certificate file and a private key file, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Pair {
    /// Writes `tls.crt` and `tls.key` into `dir`.
    pub(crate) fn write_to(&self, dir: &Path) -> PairFiles {
        let files = PairFiles {
            cert: dir.join("tls.crt"),
            key: dir.join("tls.key"),
        };
        fs::write(&files.cert, &self.cert).unwrap();
        write_key(&files.key, &self.key);
        files
    }
}

/// With the mode that a key should have: one that others can read is warned about.
pub(crate) fn write_key(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Where a pair lies.
#[derive(Clone, Debug)]
pub(crate) struct PairFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where a pair and the certificate of its CA lie.
#[derive(Clone, Debug)]
pub(crate) struct PkiFiles {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl TestPki {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let key = new_key(algorithm);
        let params = ca_params("hybridge test CA");
        let ca_pem = params.self_signed(&key).unwrap().pem();
        Self {
            algorithm,
            issuer: Issuer::new(params, key),
            ca_pem,
        }
    }

    /// The same CA, whose certificates have keys of another kind from now on.
    pub(crate) fn with_keys(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The same CA and key, with its name in another string type: equal by RFC 5280, section 7.1.
    pub(crate) fn in_printable_string(&self) -> Self {
        self.named_in_printable_string("hybridge test CA")
    }

    /// The same for a CA of another name.
    pub(crate) fn named_in_printable_string(&self, name: &str) -> Self {
        let key = KeyPair::from_pem(&self.issuer.key().serialize_pem()).unwrap();
        let mut params = ca_params(name);
        let name = PrintableString::try_from(name).unwrap();
        let name = DnValue::PrintableString(name);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let ca_pem = params.self_signed(&key).unwrap().pem();
        Self {
            algorithm: self.algorithm,
            issuer: Issuer::new(params, key),
            ca_pem,
        }
    }

    /// What clients have to trust.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A good certificate, valid from an hour ago until a day ahead.
    pub(crate) fn leaf(&self, names: &[&str]) -> Pair {
        let now = OffsetDateTime::now_utc();
        self.leaf_valid(names, now - Duration::hours(1), now + Duration::days(1))
    }

    /// A certificate with validity of choice.
    pub(crate) fn leaf_valid(
        &self,
        names: &[&str],
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Pair {
        let mut params = server(names);
        (params.not_before, params.not_after) = (from, until);
        self.issue(&params)
    }

    /// A certificate whose serial number is the big-endian number `serial`.
    pub(crate) fn leaf_numbered(&self, names: &[&str], serial: &[u8]) -> Pair {
        let mut params = server(names);
        params.serial_number = Some(SerialNumber::from_slice(serial));
        self.issue(&params)
    }

    /// A client's certificate with exactly these names.
    pub(crate) fn client(&self, names: &[SanType]) -> Pair {
        self.issue(&client(names))
    }

    /// A revocation list with these serial numbers that counts until then, as PEM.
    pub(crate) fn revocation_list(&self, serials: &[u8], next_update: OffsetDateTime) -> String {
        let serials = serials.iter().map(|serial| vec![*serial]);
        self.revocation_list_of(serials, next_update)
    }

    pub(crate) fn revocation_list_of(
        &self,
        serials: impl Iterator<Item = Vec<u8>>,
        next_update: OffsetDateTime,
    ) -> String {
        let params = list_of(serials, next_update);
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A list of these serial numbers about the certificates of one distribution point only.
    pub(crate) fn revocation_list_at(
        &self,
        point: &str,
        serials: &[u8],
        next_update: OffsetDateTime,
    ) -> String {
        let serials = serials.iter().map(|serial| vec![*serial]);
        let mut params = list_of(serials, next_update);
        params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![point.to_owned()],
            },
            scope: None,
        });
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Pair {
        let key = new_key(self.algorithm);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate that expired an hour ago.
    pub(crate) fn expired(&self, names: &[&str]) -> Pair {
        let now = OffsetDateTime::now_utc();
        self.leaf_valid(names, now - Duration::days(2), now - Duration::hours(1))
    }

    /// A certificate that becomes valid in an hour.
    pub(crate) fn not_yet_valid(&self, names: &[&str]) -> Pair {
        let now = OffsetDateTime::now_utc();
        self.leaf_valid(names, now + Duration::hours(1), now + Duration::days(2))
    }

    /// The certificate of one pair with the key of another.
    pub(crate) fn mismatched(&self, names: &[&str]) -> Pair {
        Pair {
            cert: self.leaf(names).cert,
            key: self.leaf(names).key,
        }
    }

    /// A certificate by way of an intermediate CA: leaf and intermediate in one file.
    pub(crate) fn chain(&self, names: &[&str]) -> Pair {
        self.chain_of(&ca_params("hybridge test intermediate"), &server(names))
    }

    /// The same with the parameters of both.
    pub(crate) fn chain_of(
        &self,
        intermediate: &CertificateParams,
        leaf: &CertificateParams,
    ) -> Pair {
        let key = new_key(self.algorithm);
        let intermediate_cert = intermediate.signed_by(&key, &self.issuer).unwrap();
        let issuer = Issuer::from_params(intermediate, key);
        let leaf_key = new_key(self.algorithm);
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        Pair {
            cert: leaf.pem() + &intermediate_cert.pem(),
            key: leaf_key.serialize_pem(),
        }
    }

    /// An intermediate CA of this one, whose own certificate is its `ca_pem`.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (key, params) = (new_key(self.algorithm), ca_params(name));
        let ca_pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self {
            algorithm: self.algorithm,
            issuer: Issuer::new(params, key),
            ca_pem,
        }
    }

    /// Writes `ca.crt` and a good pair for localhost into `dir`.
    pub(crate) fn write_to(&self, dir: &Path) -> PkiFiles {
        let ca = dir.join("ca.crt");
        fs::write(&ca, &self.ca_pem).unwrap();
        let PairFiles { cert, key } = self.leaf(&["localhost", "127.0.0.1", "::1"]).write_to(dir);
        PkiFiles { ca, cert, key }
    }
}

/// A new key pair as rcgen makes it.
pub(crate) fn new_key(algorithm: Algorithm) -> KeyPair {
    KeyPair::generate_for(signature_algorithm(algorithm)).unwrap()
}

fn signature_algorithm(algorithm: Algorithm) -> &'static SignatureAlgorithm {
    match algorithm {
        Algorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        Algorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
        Algorithm::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
        Algorithm::MlDsa44 => &rcgen::PKCS_ML_DSA_44,
        Algorithm::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
        Algorithm::MlDsa87 => &rcgen::PKCS_ML_DSA_87,
    }
}

/// A list about every certificate of its issuer.
fn list_of(
    serials: impl Iterator<Item = Vec<u8>>,
    next_update: OffsetDateTime,
) -> CertificateRevocationListParams {
    let revoked = |serial: Vec<u8>| RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: next_update - Duration::days(2),
        reason_code: None,
        invalidity_date: None,
    };
    CertificateRevocationListParams {
        this_update: next_update - Duration::days(2),
        next_update,
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: serials.map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

/// A CA, to be signed by another or by itself.
pub(crate) fn ca_params(name: &str) -> CertificateParams {
    let mut params = valid_for_a_year();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server(names: &[&str]) -> CertificateParams {
    let mut params = valid_for_a_year();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A client's certificate as `TestPki::client` issues it.
pub(crate) fn client(names: &[SanType]) -> CertificateParams {
    let mut params = valid_for_a_year();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "client");
    params.subject_alt_names = names.to_vec();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// `permitted;URI:example.org` as RFC 5280 §4.2.1.10 writes it.
pub(crate) fn constrained_to_uris(mut params: CertificateParams) -> CertificateParams {
    let name = b"example.org";
    let mut content = vec![0x30, 0x11, 0xa0, 0x0f, 0x30, 0x0d, 0x86, 0x0b];
    content.extend_from_slice(name);
    let mut constraint = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
    constraint.set_criticality(true);
    params.custom_extensions.push(constraint);
    params
}

/// A URI name.
pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn alternative_name(name: &str) -> SanType {
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    }
}

fn valid_for_a_year() -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(365);
    params
}
