//! What to say about a group, a policy or a suite that is not known here.

use thiserror::Error;

use crate::redact::Shown;
use crate::suggest::{Aliases, did_you_mean, suggest, suggest_or_alias};

/// A name of a group, a policy or a suite that is not known here.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{}: `{given}` is not {}{hint}", kind.key(), kind.article())]
pub struct UnknownName {
    kind: Kind,
    given: Shown,
    /// The closest known name, or all of them.
    hint: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Group,
    Mode,
    Suite,
}

impl Kind {
    /// The configuration key that the name was written under.
    fn key(self) -> &'static str {
        match self {
            Self::Group => "groups",
            Self::Mode => "policy",
            Self::Suite => "cipher-suites",
        }
    }

    fn article(self) -> &'static str {
        match self {
            Self::Group => "a group known here",
            Self::Mode => "a policy",
            Self::Suite => "a TLS 1.3 suite known here",
        }
    }
}

/// Real groups that look like one of ours and are another: no suggestion for them.
const OTHER_GROUPS: [&str; 5] = [
    "secp224r1",
    "secp256k1",
    "secp521r1",
    "curvesm2mlkem768",
    "mlkem512",
];

/// Pure ML-KEM that is not offered (draft-ietf-tls-mlkem) and the hybrid of the same strength.
const PURE: Aliases = &[
    ("mlkem768", "X25519MLKEM768"),
    ("ml-kem-768", "X25519MLKEM768"),
];

/// Names of drafts and of other software.
const GROUP_ALIASES: Aliases = &[
    ("x25519kyber768", "X25519MLKEM768"),
    ("x25519kyber768draft00", "X25519MLKEM768"),
    ("x25519-mlkem768", "X25519MLKEM768"),
    ("p256-mlkem768", "SecP256r1MLKEM768"),
    ("p256mlkem768", "SecP256r1MLKEM768"),
    ("p384-mlkem1024", "SecP384r1MLKEM1024"),
    ("p384mlkem1024", "SecP384r1MLKEM1024"),
    ("curve25519", "X25519"),
    ("nistp256", "secp256r1"),
    ("p256", "secp256r1"),
    ("nistp384", "secp384r1"),
    ("p384", "secp384r1"),
];

const MODE_ALIASES: Aliases = &[
    ("prefer", "hybrid-preferred"),
    ("preferred", "hybrid-preferred"),
    ("hybrid-only", "hybrid-required"),
    ("pure", "pq-required"),
    ("pq-only", "pq-required"),
    ("post-quantum-required", "pq-required"),
    ("require", "hybrid-required"),
    ("required", "hybrid-required"),
    ("strict", "hybrid-required"),
    ("classic", "classical-only"),
    ("classical", "classical-only"),
];

pub(super) fn group(given: &str, known: &[&'static str]) -> UnknownName {
    let word = given.to_ascii_lowercase();
    let hint = if let Some(hybrid) = suggest_or_alias(&word, [], PURE) {
        format!(": it is pure ML-KEM, not a hybrid: did you mean `{hybrid}`?")
    } else if OTHER_GROUPS.contains(&word.as_str()) {
        listed(known)
    } else {
        hint(
            suggest_or_alias(&word, known.iter().copied(), GROUP_ALIASES),
            known,
        )
    };
    UnknownName {
        kind: Kind::Group,
        given: given.into(),
        hint,
    }
}

pub(super) fn mode(given: &str, known: &[&'static str]) -> UnknownName {
    UnknownName {
        kind: Kind::Mode,
        given: given.into(),
        hint: hint(
            suggest_or_alias(given, known.iter().copied(), MODE_ALIASES),
            known,
        ),
    }
}

/// Names of TLS 1.2 suites end like the suite of TLS 1.3 that has the same cipher.
pub(super) fn suite(given: &str, known: &[&'static str]) -> UnknownName {
    let word = given.to_ascii_uppercase();
    let cipher = word.rsplit_once("_WITH_").map_or(&*word, |(_, end)| end);
    let same_cipher = |name: &&str| name.trim_start_matches("TLS_") == cipher;
    let suggestion = known.iter().copied().find(same_cipher);
    UnknownName {
        kind: Kind::Suite,
        given: given.into(),
        hint: hint(
            suggestion.or_else(|| suggest(given, known.iter().copied())),
            known,
        ),
    }
}

fn hint(suggestion: Option<&str>, known: &[&str]) -> String {
    match suggestion {
        Some(_) => did_you_mean(suggestion),
        None => listed(known),
    }
}

fn listed(known: &[&str]) -> String {
    format!(": known are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Group, Mode, Suite};

    #[test]
    fn a_group_of_another_kind_is_named_for_what_it_is() {
        for (given, expected) in [
            (
                "mlkem768",
                ": it is pure ML-KEM, not a hybrid: did you mean `X25519MLKEM768`?",
            ),
            ("X25519Kyber768Draft00", ": did you mean `X25519MLKEM768`?"),
            ("p256_mlkem768", ": did you mean `SecP256r1MLKEM768`?"),
            ("P256", ": did you mean `secp256r1`?"),
            ("X25591", ": did you mean `X25519`?"),
        ] {
            let expected = format!("groups: `{given}` is not a group known here{expected}");
            assert_eq!(Group::parse(given).unwrap_err().to_string(), expected);
        }
        let known = "known are X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, MLKEM1024, X25519, secp256r1, secp384r1";
        for given in [
            "secp521r1",
            "secp256k1",
            "x448",
            "ffdhe2048",
            "MLKEM512",
            "?",
        ] {
            let expected = format!("groups: `{given}` is not a group known here: {known}");
            assert_eq!(Group::parse(given).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_policy_far_from_every_name_gets_the_list() {
        for given in ["banana", "hybrid"] {
            assert_eq!(
                Mode::parse(given).unwrap_err().to_string(),
                format!(
                    "policy: `{given}` is not a policy: known are hybrid-preferred, hybrid-required, pq-required, classical-only"
                )
            );
        }
        assert!(
            Mode::parse("strict")
                .unwrap_err()
                .to_string()
                .ends_with("`hybrid-required`?")
        );
        assert!(
            Mode::parse("classical")
                .unwrap_err()
                .to_string()
                .ends_with("`classical-only`?")
        );
    }

    #[test]
    fn a_suite_of_tls_1_2_suggests_the_one_with_its_cipher() {
        for (given, expected) in [
            (
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "did you mean `TLS_CHACHA20_POLY1305_SHA256`?",
            ),
            (
                "AES_256_GCM_SHA384",
                "did you mean `TLS_AES_256_GCM_SHA384`?",
            ),
            (
                "TLS13_AES_128_GCM_SHA256",
                "did you mean `TLS_AES_128_GCM_SHA256`?",
            ),
            (
                "TLS_RSA_WITH_RC4_128_MD5",
                "known are TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256",
            ),
        ] {
            let said = Suite::parse(given).unwrap_err().to_string();
            assert!(said.ends_with(expected), "{said}");
        }
    }
}
