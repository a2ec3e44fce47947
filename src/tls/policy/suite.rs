//! The cipher suites of TLS 1.3 and their order by cost.

use ::aws_lc_rs::aead;
use rustls::crypto::aws_lc_rs;
use rustls::{CipherSuite, ConnectionTrafficSecrets};

use super::unknown::{self, UnknownName};

/// A TLS 1.3 cipher suite.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suite {
    /// 0x1301.
    Aes128GcmSha256,
    /// 0x1302.
    Aes256GcmSha384,
    /// 0x1303.
    ChaCha20Poly1305Sha256,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 3] = [
        Self::Aes128GcmSha256,
        Self::Aes256GcmSha384,
        Self::ChaCha20Poly1305Sha256,
    ];

    /// The IANA name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128GcmSha256 => "TLS_AES_128_GCM_SHA256",
            Self::Aes256GcmSha384 => "TLS_AES_256_GCM_SHA384",
            Self::ChaCha20Poly1305Sha256 => "TLS_CHACHA20_POLY1305_SHA256",
        }
    }

    /// Reads an IANA name, letter case aside.
    pub fn parse(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| unknown::suite(text, &Self::ALL.map(Self::name)))
    }

    /// The suites in the order that costs least on this CPU: AES-128-GCM-SHA256 first where AES and
    /// carry-less multiplication are instructions, ChaCha20-Poly1305 first elsewhere.
    pub fn by_cost() -> Vec<Self> {
        if has_aes_instructions() {
            Self::ALL.to_vec()
        } else {
            vec![
                Self::ChaCha20Poly1305Sha256,
                Self::Aes128GcmSha256,
                Self::Aes256GcmSha384,
            ]
        }
    }

    pub(super) fn implementation(self) -> rustls::SupportedCipherSuite {
        use aws_lc_rs::cipher_suite as cs;
        match self {
            Self::Aes128GcmSha256 => cs::TLS13_AES_128_GCM_SHA256,
            Self::Aes256GcmSha384 => cs::TLS13_AES_256_GCM_SHA384,
            Self::ChaCha20Poly1305Sha256 => cs::TLS13_CHACHA20_POLY1305_SHA256,
        }
    }
}

/// The IANA name of a negotiated suite.
pub(crate) fn suite_name(suite: CipherSuite) -> &'static str {
    suite.as_str().map_or("unknown", |name| match name {
        "TLS13_AES_128_GCM_SHA256" => Suite::Aes128GcmSha256.name(),
        "TLS13_AES_256_GCM_SHA384" => Suite::Aes256GcmSha384.name(),
        "TLS13_CHACHA20_POLY1305_SHA256" => Suite::ChaCha20Poly1305Sha256.name(),
        other => other,
    })
}

/// The AEAD, key and initial vector that protect records, if the suite is one of ours.
pub(crate) fn record_protection(
    secrets: &ConnectionTrafficSecrets,
) -> Option<(&'static aead::Algorithm, &[u8], &[u8])> {
    let (algorithm, key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
            (&aead::CHACHA20_POLY1305, key, iv)
        }
        _ => return None,
    };
    Some((algorithm, key.as_ref(), iv.as_ref()))
}

/// Records that one key may protect (RFC 8446 §5.5).
pub(crate) fn confidentiality_limit(suite: rustls::SupportedCipherSuite) -> Option<u64> {
    Some(suite.tls13()?.common.confidentiality_limit)
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn has_aes_instructions() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes_instructions() -> bool {
    false
}
