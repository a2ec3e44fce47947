//! What a quantum computer does to a signature algorithm, by the name that `hybridge_names::algorithm` gives it.

/// NIST's security category (FIPS 204, section 4; FIPS 205, section 11): 1 to 5, or 0 for what a quantum computer
/// breaks. `None`: the algorithm is not known.
pub(crate) fn level(name: &str) -> Option<u8> {
    let classical = ["RSA", "ECDSA", "Ed25519", "Ed448"];
    if classical.iter().any(|family| name.starts_with(family)) {
        return Some(0);
    }
    match name {
        "ML-DSA-44" => return Some(2),
        "ML-DSA-65" => return Some(3),
        "ML-DSA-87" => return Some(5),
        _ => {}
    }
    let set = name.strip_prefix("SLH-DSA-")?;
    let bits = set.rsplit_once('-')?.1.trim_end_matches(['s', 'f']);
    match bits {
        "128" => Some(1),
        "192" => Some(3),
        "256" => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hybridge_names::algorithm::signature;

    use super::*;

    #[test]
    fn an_algorithm_has_the_level_of_its_standard_and_none_if_it_is_not_known() {
        let levels = |suffixes: std::ops::RangeInclusive<u8>| {
            let oids = suffixes.map(|suffix| format!("2.16.840.1.101.3.4.3.{suffix}"));
            oids.map(|oid| level(&signature(&oid))).collect::<Vec<_>>()
        };
        assert_eq!(levels(17..=19), [2, 3, 5].map(Some));
        // SLH-DSA with SHA2, then with SHAKE; each small and fast.
        let sets = [1, 1, 3, 3, 5, 5, 1, 1, 3, 3, 5, 5];
        assert_eq!(levels(20..=31), sets.map(Some));
        for classical in [
            "RSA-2048",
            "RSA-PSS",
            "ECDSA P-256",
            "ECDSA with SHA-1",
            "Ed448",
        ] {
            assert_eq!(level(classical), Some(0), "{classical}");
        }
        // The pre-hash form of ML-DSA-44, and a composite of ML-DSA-44 and ECDSA P-256.
        for unknown in ["2.16.840.1.101.3.4.3.32", "1.3.6.1.5.5.7.6.40", ""] {
            assert_eq!(level(&signature(unknown)), None, "{unknown}");
        }
    }
}
