#![allow(clippy::unwrap_used)]

use super::*;

fn offer(groups: &[Group], shares: &[Group]) -> Offer {
    let codes = |list: &[Group]| list.iter().map(|g| g.code_point()).collect();
    Offer {
        groups: codes(groups),
        shares: codes(shares),
    }
}

fn policy(mode: Mode) -> TlsPolicy {
    TlsPolicy::new(mode, None, None).unwrap()
}

use Group::{MlKem1024, Secp256r1, Secp256r1MlKem768, Secp384r1MlKem1024, X25519, X25519MlKem768};

#[test]
fn a_listed_hybrid_group_wins_over_order_and_share() {
    let hello = offer(&[X25519, X25519MlKem768], &[X25519]);
    assert_eq!(
        policy(Mode::HybridPreferred).choose(&hello),
        Some(X25519MlKem768)
    );
    assert_eq!(
        policy(Mode::HybridRequired).choose(&hello),
        Some(X25519MlKem768)
    );
    assert_eq!(policy(Mode::ClassicalOnly).choose(&hello), Some(X25519));
}

#[test]
fn ml_kem_alone_is_no_hybrid() {
    let hello = offer(&[MlKem1024, X25519], &[MlKem1024]);
    assert_eq!(hello.class(), KxClass::Pure);
    assert_eq!(hello.class().as_str(), "post-quantum");
    assert_eq!(policy(Mode::HybridPreferred).choose(&hello), Some(X25519));
    assert_eq!(policy(Mode::HybridRequired).choose(&hello), None);
    assert_eq!(policy(Mode::PqRequired).choose(&hello), Some(MlKem1024));
    let both = offer(&[MlKem1024, X25519MlKem768], &[MlKem1024]);
    assert_eq!(both.class(), KxClass::Hybrid);
    assert_eq!(policy(Mode::PqRequired).choose(&both), Some(X25519MlKem768));
    let list = [MlKem1024];
    for (mode, name) in [
        (Mode::HybridPreferred, "hybrid-preferred"),
        (Mode::HybridRequired, "hybrid-required"),
    ] {
        let refused = TlsPolicy::new(mode, Some(&list), None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "groups: `MLKEM1024` is post-quantum without a classical half and contradicts policy `{name}`: remove it or change the policy, `pq-required` admits it"
            )
        );
    }
}

#[test]
fn a_share_at_hand_saves_the_round_trip_inside_the_class() {
    let hello = offer(&[X25519MlKem768, Secp256r1MlKem768], &[Secp256r1MlKem768]);
    assert_eq!(
        policy(Mode::HybridPreferred).choose(&hello),
        Some(Secp256r1MlKem768)
    );
    let list = [X25519MlKem768, Secp256r1MlKem768, X25519];
    let strict = TlsPolicy::new(Mode::HybridPreferred, Some(&list), None).unwrap();
    assert_eq!(strict.choose(&hello), Some(X25519MlKem768));
}

#[test]
fn a_client_without_a_hybrid_group_is_served_or_refused_by_policy() {
    let hello = offer(&[Secp256r1, X25519], &[Secp256r1]);
    assert_eq!(
        policy(Mode::HybridPreferred).choose(&hello),
        Some(Secp256r1)
    );
    assert_eq!(policy(Mode::HybridRequired).choose(&hello), None);
    assert_eq!(policy(Mode::ClassicalOnly).choose(&hello), Some(Secp256r1));
}

#[test]
fn contradictions_name_the_entry_and_the_remedy() {
    let refused = |mode, list: &[Group]| {
        TlsPolicy::new(mode, Some(list), None)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(Mode::HybridRequired, &[X25519MlKem768, X25519]),
        "groups: `X25519` is classical and contradicts policy `hybrid-required`: remove it or change the policy"
    );
    assert_eq!(
        refused(Mode::ClassicalOnly, &[X25519, X25519MlKem768]),
        "groups: `X25519MLKEM768` is hybrid and contradicts policy `classical-only`: remove it or change the policy"
    );
    assert_eq!(
        refused(Mode::HybridPreferred, &[X25519, X25519MlKem768]),
        "groups: `X25519MLKEM768` comes after `X25519`, but policy `hybrid-preferred` gives every client that lists a hybrid group a hybrid one: put the hybrid groups first"
    );
    assert_eq!(
        refused(Mode::HybridPreferred, &[X25519MlKem768]),
        "groups: no classical group is listed, but policy `hybrid-preferred` serves clients without a hybrid group too: add `X25519`, or set policy `hybrid-required`"
    );
    assert_eq!(
        refused(Mode::HybridPreferred, &[X25519]),
        "groups: no hybrid group is listed, but policy `hybrid-preferred` promises one: add `X25519MLKEM768`, or set policy `classical-only`"
    );
    assert_eq!(
        refused(Mode::ClassicalOnly, &[X25519, X25519]),
        "groups: `X25519` is listed twice: remove one"
    );
    assert_eq!(
        refused(Mode::ClassicalOnly, &[]),
        "groups: the list is empty: name at least one group, or leave it out for the default"
    );
}

#[test]
fn unknown_names_are_answered_with_the_nearest_known_one() {
    assert_eq!(
        Group::parse("X25519MLKEM786").unwrap_err().to_string(),
        "groups: `X25519MLKEM786` is not a group known here: did you mean `X25519MLKEM768`?"
    );
    assert_eq!(
        Mode::parse("hybrid-prefered").unwrap_err().to_string(),
        "policy: `hybrid-prefered` is not a policy: did you mean `hybrid-preferred`?"
    );
    assert_eq!(Group::parse("P-256").unwrap(), Secp256r1);
    assert_eq!(
        Group::parse("secp384r1mlkem1024").unwrap(),
        Secp384r1MlKem1024
    );
}

#[test]
fn code_points_are_the_registered_ones_and_survive_the_round_trip() {
    for group in Group::ALL {
        assert_eq!(Group::from_code_point(group.code_point()), Some(group));
        assert_eq!(group.key_exchange().name(), group.code_point());
    }
    assert_eq!(u16::from(Secp384r1MlKem1024.code_point()), 0x11ed);
}

/// A dependency bump that changes what the library offers must be seen.
#[test]
fn the_library_defaults_are_the_ones_this_policy_was_written_against() {
    let groups: Vec<_> = rustls_post_quantum::provider()
        .kx_groups
        .iter()
        .map(|group| u16::from(group.name()))
        .collect();
    assert_eq!(groups, [0x11ec, 0x001d, 0x0017, 0x0018]);
    assert_eq!(VERSIONS.len(), 1);
}

/// What a census counts: a client that the listener would refuse without its classical groups, whatever
/// hybrid groups of others it lists.
#[test]
fn a_hybrid_group_that_the_policy_does_not_have_protects_nobody() {
    let preferred = policy(Mode::HybridPreferred);
    let pure = offer(&[MlKem1024, X25519], &[]);
    assert!(preferred.leaves_classical(&pure));
    assert!(!policy(Mode::PqRequired).leaves_classical(&pure));
    let browser = offer(&[X25519MlKem768, X25519], &[]);
    assert!(!preferred.leaves_classical(&browser));
    let list = [Secp384r1MlKem1024, X25519];
    let cnsa = TlsPolicy::new(Mode::HybridPreferred, Some(&list), None).unwrap();
    assert!(cnsa.leaves_classical(&browser));
    let classical = policy(Mode::ClassicalOnly);
    assert!(!classical.leaves_classical(&browser));
    assert!(classical.leaves_classical(&offer(&[X25519], &[])));
}
