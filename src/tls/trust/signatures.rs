//! Which signatures count in what clients present: of their certificates, of revocation lists, and of the
//! handshake itself (RFC 8446 section 4.2.3).

use std::sync::LazyLock;

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{SignatureVerificationAlgorithm, alg_id};
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::tls::policy::{Profile, of_library};

/// Which signatures count in what clients present.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Signatures {
    /// Every kind.
    #[default]
    Any,
    /// Every kind; ML-DSA is asked for first.
    PqPreferred,
    /// ML-DSA only, from the client's key up to the CA's.
    PqRequired,
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;
type Mapping = (SignatureScheme, &'static [Algorithm]);

/// What a mode makes of the library's algorithms.
struct Choice {
    all: Vec<Algorithm>,
    mapping: Vec<Mapping>,
}

static PREFERRED: LazyLock<Choice> = LazyLock::new(|| {
    let WebPkiSupportedAlgorithms { all, mapping } = of_library();
    let mut mapping = mapping.to_vec();
    mapping.sort_by_key(|(scheme, _)| !is_ml_dsa(*scheme));
    Choice {
        all: all.to_vec(),
        mapping,
    }
});

static REQUIRED: LazyLock<Choice> = LazyLock::new(|| Choice::of(&ML_DSA));

/// ML-DSA-87 only, whichever kinds a mode asks for.
static CNSA: LazyLock<Choice> = LazyLock::new(|| Choice::of(&[SignatureScheme::ML_DSA_87]));

/// ML-DSA-87 first, and P-384 with SHA-384. The library's scheme for P-384 verifies certificates of other
/// curves too.
static CNSA_TRANSITION: LazyLock<Choice> = LazyLock::new(|| {
    let mut choice = Choice::of(&[SignatureScheme::ML_DSA_87]);
    choice
        .mapping
        .push((SignatureScheme::ECDSA_NISTP384_SHA384, &P384));
    choice.all.extend(P384.iter().copied());
    choice
});

static P384: LazyLock<Vec<Algorithm>> = LazyLock::new(|| {
    let mapping = of_library().mapping.iter();
    let of_scheme = mapping.filter(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP384_SHA384);
    let all = of_scheme.flat_map(|(_, all)| all.iter().copied());
    all.filter(|algorithm| algorithm.public_key_alg_id() == alg_id::ECDSA_P384)
        .collect()
});

impl Choice {
    fn of(schemes: &[SignatureScheme]) -> Self {
        let mut mapping = of_library().mapping.to_vec();
        mapping.retain(|(scheme, _)| schemes.contains(scheme));
        Self {
            all: mapping
                .iter()
                .flat_map(|(_, all)| all.iter().copied())
                .collect(),
            mapping,
        }
    }
}

const ML_DSA: [SignatureScheme; 3] = [
    SignatureScheme::ML_DSA_44,
    SignatureScheme::ML_DSA_65,
    SignatureScheme::ML_DSA_87,
];

fn is_ml_dsa(scheme: SignatureScheme) -> bool {
    ML_DSA.contains(&scheme)
}

impl Signatures {
    /// A provider that verifies these signatures and no others.
    pub(super) fn provider(self, profile: Profile) -> CryptoProvider {
        let choice: &'static Choice = match (profile, self) {
            (Profile::Cnsa2, _) | (Profile::Cnsa2Transition, Self::PqRequired) => &CNSA,
            (Profile::Cnsa2Transition, _) => &CNSA_TRANSITION,
            (Profile::Off, Self::Any) => return rustls_post_quantum::provider(),
            (Profile::Off, Self::PqPreferred) => &PREFERRED,
            (Profile::Off, Self::PqRequired) => &REQUIRED,
        };
        CryptoProvider {
            signature_verification_algorithms: WebPkiSupportedAlgorithms {
                all: &choice.all,
                mapping: &choice.mapping,
            },
            ..rustls_post_quantum::provider()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_asks_for_what_it_says() {
        let schemes = |mode: Signatures| {
            let algorithms = mode
                .provider(Profile::Off)
                .signature_verification_algorithms;
            algorithms.supported_schemes()
        };
        let (any, preferred) = (schemes(Signatures::Any), schemes(Signatures::PqPreferred));
        let required = schemes(Signatures::PqRequired);
        assert_eq!(required.len(), 3);
        assert!(required.iter().all(|scheme| is_ml_dsa(*scheme)));
        assert_eq!(preferred[..3], required[..]);
        assert!(!is_ml_dsa(any[0]), "{any:?}");
        assert_eq!(preferred.len(), any.len());
        let algorithms = Signatures::PqRequired
            .provider(Profile::Off)
            .signature_verification_algorithms;
        assert_eq!(algorithms.all.len(), 3);
    }

    #[test]
    fn a_profile_admits_its_own_algorithms_alone() {
        let of =
            |mode: Signatures, profile| mode.provider(profile).signature_verification_algorithms;
        for mode in [
            Signatures::Any,
            Signatures::PqPreferred,
            Signatures::PqRequired,
        ] {
            let strict = of(mode, Profile::Cnsa2);
            assert_eq!(strict.supported_schemes(), [SignatureScheme::ML_DSA_87]);
            assert_eq!(strict.all.len(), 1);
        }
        let transition = of(Signatures::Any, Profile::Cnsa2Transition);
        let schemes = [
            SignatureScheme::ML_DSA_87,
            SignatureScheme::ECDSA_NISTP384_SHA384,
        ];
        assert_eq!(transition.supported_schemes(), schemes);
        assert_eq!(transition.all.len(), 2);
        assert_eq!(transition.mapping[1].1.len(), 1);
    }
}
