//! Which signatures count in what clients present: of their certificates, of revocation lists, and of the
//! handshake itself (RFC 8446 section 4.2.3).

use std::sync::LazyLock;

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::SignatureVerificationAlgorithm;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// Which signatures count in what clients present.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Signatures {
    /// Every kind.
    #[default]
    Any,
    /// Every kind; ML-DSA is asked for first.
    PqPreferred,
    /// ML-DSA alone, from the client's key up to the authority's.
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

static REQUIRED: LazyLock<Choice> = LazyLock::new(|| {
    let mut mapping = of_library().mapping.to_vec();
    mapping.retain(|(scheme, _)| is_ml_dsa(*scheme));
    Choice {
        all: mapping
            .iter()
            .flat_map(|(_, all)| all.iter().copied())
            .collect(),
        mapping,
    }
});

fn of_library() -> WebPkiSupportedAlgorithms {
    rustls_post_quantum::provider().signature_verification_algorithms
}

fn is_ml_dsa(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::ML_DSA_44 | SignatureScheme::ML_DSA_65 | SignatureScheme::ML_DSA_87
    )
}

impl Signatures {
    /// A provider that verifies these signatures and no others.
    pub(super) fn provider(self) -> CryptoProvider {
        let choice: &'static Choice = match self {
            Self::Any => return rustls_post_quantum::provider(),
            Self::PqPreferred => &PREFERRED,
            Self::PqRequired => &REQUIRED,
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
            let algorithms = mode.provider().signature_verification_algorithms;
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
            .provider()
            .signature_verification_algorithms;
        assert_eq!(algorithms.all.len(), 3);
    }
}
