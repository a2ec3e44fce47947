//! A root, an intermediate and a server's certificate, made as the tests need them.

use std::time::SystemTime;

use hybridge::tls::credentials::{CredentialError, Credentials};
use openssl::asn1::{Asn1Time, Asn1Type};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use openssl::x509::{X509Builder, X509Name, X509NameBuilder};
use tempfile::TempDir;

use super::DAY;
use crate::support::pki::write_key;

pub(super) fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(super) fn name_as(text: &str, kind: Asn1Type) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid_with_type(Nid::COMMONNAME, text, kind)
        .unwrap();
    name.build()
}

pub(super) fn name(text: &str) -> X509Name {
    name_as(text, Asn1Type::UTF8STRING)
}

/// A certificate in the making: who it is, who issued it, its kind and dates in days from now.
pub(super) struct Make<'a> {
    pub(super) subject: X509Name,
    pub(super) issuer: X509Name,
    pub(super) key: &'a PKey<Private>,
    pub(super) by: &'a PKey<Private>,
    pub(super) days: (i64, i64),
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Ca,
    Server,
    Nameless,
    Client,
    Encipher,
}

impl Make<'_> {
    pub(super) fn pem(&self) -> String {
        self.signed_with(MessageDigest::sha256())
    }

    pub(super) fn signed_with(&self, digest: MessageDigest) -> String {
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&self.subject).unwrap();
        builder.set_issuer_name(&self.issuer).unwrap();
        builder.set_pubkey(self.key).unwrap();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let at = |days: i64| Asn1Time::from_unix(now.cast_signed() + days * DAY + 60).unwrap();
        builder.set_not_before(&at(self.days.0)).unwrap();
        builder.set_not_after(&at(self.days.1)).unwrap();
        self.extend(&mut builder);
        builder.sign(self.by, digest).unwrap();
        String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
    }

    pub(super) fn extend(&self, builder: &mut X509Builder) {
        if self.kind == Kind::Ca {
            let constraints = BasicConstraints::new().critical().ca().build().unwrap();
            builder.append_extension(constraints).unwrap();
        }
        if self.kind != Kind::Nameless {
            let mut names = SubjectAlternativeName::new();
            let context = builder.x509v3_context(None, None);
            let names = names.dns("api.test").build(&context).unwrap();
            builder.append_extension(names).unwrap();
        }
        if self.kind == Kind::Client {
            builder
                .append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap())
                .unwrap();
        }
        if self.kind == Kind::Encipher {
            builder
                .append_extension(KeyUsage::new().key_encipherment().build().unwrap())
                .unwrap();
        }
    }
}

/// Root, intermediate and server, and what can be made with their keys.
pub(super) struct Family {
    pub(super) root: PKey<Private>,
    pub(super) intermediate: PKey<Private>,
    pub(super) leaf: PKey<Private>,
}

impl Family {
    pub(super) fn new() -> Self {
        Self {
            root: key(),
            intermediate: key(),
            leaf: key(),
        }
    }

    pub(super) fn server(&self, kind: Kind, days: (i64, i64)) -> String {
        let (subject, issuer) = (name("api.test"), name("The  Intermediate"));
        Make {
            subject,
            issuer,
            key: &self.leaf,
            by: &self.intermediate,
            days,
            kind,
        }
        .pem()
    }

    pub(super) fn good(&self) -> String {
        self.server(Kind::Server, (-1, 300))
    }

    pub(super) fn intermediate(&self, subject: X509Name) -> String {
        let issuer = name("Root");
        let days = (-100, 900);
        let kind = Kind::Ca;
        Make {
            subject,
            issuer,
            key: &self.intermediate,
            by: &self.root,
            days,
            kind,
        }
        .pem()
    }

    pub(super) fn root(&self, issuer: &str, days: (i64, i64)) -> String {
        let (subject, issuer) = (name("Root"), name(issuer));
        let kind = Kind::Ca;
        Make {
            subject,
            issuer,
            key: &self.root,
            by: &self.root,
            days,
            kind,
        }
        .pem()
    }

    pub(super) fn load(&self, cert: &str) -> Result<Credentials, CredentialError> {
        let dir = TempDir::new().unwrap();
        let (cert_path, key_path) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        std::fs::write(&cert_path, cert).unwrap();
        write_key(&key_path, self.leaf.private_key_to_pem_pkcs8().unwrap());
        Credentials::load(&cert_path, &key_path)
    }

    /// The number of certificates sent, and what is said of them.
    #[track_caller]
    pub(super) fn loads(&self, cert: &str) -> (usize, Vec<String>) {
        let credentials = self.load(cert).unwrap();
        let warnings = credentials.warnings().iter();
        let warnings = warnings.map(ToString::to_string).collect();
        (credentials.certified_key().cert.len(), warnings)
    }
}
