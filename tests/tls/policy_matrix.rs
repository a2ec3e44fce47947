//! Policy by client: what each policy gives each list of groups, to OpenSSL and to rustls.
//!
//! OpenSSL marks with `*` the groups it sends a key share for; without a mark it is the first.

use std::sync::Arc;

use crate::support::openssl::Client;
use crate::support::{Setup, Sidecar, answering, client_config_with, hello};
use hybridge::tls::policy::Group;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// `handshake_failure`.
const REFUSED: Option<(&str, &str)> = None;

/// Group and kind.
#[expect(clippy::unnecessary_wraps, reason = "a row is this or REFUSED")]
fn gets<'a>(group: &'a str, kind: &'a str) -> Option<(&'a str, &'a str)> {
    Some((group, kind))
}

async fn sidecar(tls: &str) -> Sidecar {
    Setup::in_front_of(answering(EMPTY).await).tls(tls).start()
}

/// Every client in turn: what OpenSSL says it got, and what the metrics say.
async fn holds(tls: &str, rows: &[(&str, Option<(&str, &str)>)]) {
    let sidecar = sidecar(tls).await;
    for (list, expected) in rows {
        let before = Counts::of(&sidecar).await;
        let result = Client::new().groups(list).connect(sidecar.address).await;
        match (expected, result) {
            (Some((group, kind)), Ok(connected)) => {
                let got = Group::parse(&connected.group()).unwrap();
                assert_eq!(got.name(), *group, "{tls} and {list}");
                completed(&sidecar, list, group, kind).await;
                let after = Counts::of(&sidecar).await;
                assert_eq!(after.completed, before.completed + 1.0, "{tls} and {list}");
                assert_eq!(after.exchanges, before.exchanges + 1.0, "{tls} and {list}");
            }
            (None, Err(refused)) => {
                assert_eq!(refused.alert, Some(40), "{tls} and {list}: {refused:?}");
                assert_eq!(refused.received, hello::alert(40), "{tls} and {list}");
                let label = [("reason", "no_common_group")];
                sidecar
                    .metric_reaches(FAILED, &label, before.refused + 1.0)
                    .await;
                let after = Counts::of(&sidecar).await;
                assert_eq!(after.completed, before.completed, "{tls} and {list}");
                assert_eq!(after.exchanges, before.exchanges, "{tls} and {list}");
            }
            (expected, result) => panic!("{tls} and {list}: {result:?}, not {expected:?}"),
        }
    }
}

const COMPLETED: &str = "hybridge_handshakes_total";
const FAILED: &str = "hybridge_handshake_failures_total";

/// The row is counted under what the client listed. Its number is the check of the caller.
async fn completed(sidecar: &Sidecar, list: &str, group: &str, kind: &str) {
    let pure = |name: &str| name.trim_start_matches('*') == "MLKEM1024";
    let offered = match list.split(':').find(|name| name.contains("MLKEM")) {
        Some(name) if !pure(name) => "hybrid",
        Some(_)
            if list
                .split(':')
                .any(|name| name.contains("MLKEM") && !pure(name)) =>
        {
            "hybrid"
        }
        Some(_) => "post-quantum",
        None => "classical",
    };
    let labels = [("group", group), ("kind", kind), ("offered", offered)];
    sidecar.metric_reaches(COMPLETED, &labels, 1.0).await;
}

#[derive(Debug)]
struct Counts {
    completed: f64,
    refused: f64,
    exchanges: f64,
}

impl Counts {
    async fn of(sidecar: &Sidecar) -> Self {
        let reason = [("reason", "no_common_group")];
        Self {
            completed: sidecar.metric(COMPLETED, &[]).await,
            refused: sidecar.metric(FAILED, &reason).await,
            exchanges: sidecar
                .metric("hybridge_key_exchange_seconds_count", &[])
                .await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_preferred_gives_hybrid_to_whoever_lists_it() {
    holds(
        "policy = \"hybrid-preferred\"",
        &[
            ("X25519MLKEM768", gets("X25519MLKEM768", "full")),
            ("SecP256r1MLKEM768", gets("SecP256r1MLKEM768", "full")),
            ("SecP384r1MLKEM1024", gets("SecP384r1MLKEM1024", "full")),
            ("X25519", gets("X25519", "full")),
            ("P-256", gets("secp256r1", "full")),
            ("P-384", gets("secp384r1", "full")),
            ("X25519:X25519MLKEM768", gets("X25519MLKEM768", "hrr")),
            ("X25519MLKEM768:*X25519", gets("X25519MLKEM768", "hrr")),
            ("*X25519:*X25519MLKEM768", gets("X25519MLKEM768", "full")),
            (
                "P-256:SecP384r1MLKEM1024",
                gets("SecP384r1MLKEM1024", "hrr"),
            ),
            // Inside the class a share at hand saves the round trip.
            (
                "X25519MLKEM768:*SecP256r1MLKEM768",
                gets("SecP256r1MLKEM768", "full"),
            ),
            ("X25519:*P-256", gets("secp256r1", "full")),
            // Three hybrid shares: a hello of more than 4 KiB in one record.
            (
                "*SecP384r1MLKEM1024:*SecP256r1MLKEM768:*X25519MLKEM768",
                gets("X25519MLKEM768", "full"),
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_required_refuses_the_others_before_any_key_exchange() {
    holds(
        "policy = \"hybrid-required\"",
        &[
            ("X25519MLKEM768", gets("X25519MLKEM768", "full")),
            ("SecP256r1MLKEM768", gets("SecP256r1MLKEM768", "full")),
            ("SecP384r1MLKEM1024", gets("SecP384r1MLKEM1024", "full")),
            ("X25519", REFUSED),
            ("P-256", REFUSED),
            ("P-384", REFUSED),
            ("X25519:P-256:P-384", REFUSED),
            ("X25519:X25519MLKEM768", gets("X25519MLKEM768", "hrr")),
            ("X25519MLKEM768:*X25519", gets("X25519MLKEM768", "hrr")),
            ("*X25519:*X25519MLKEM768", gets("X25519MLKEM768", "full")),
        ],
    )
    .await;
}

/// Pure ML-KEM is not a hybrid: a policy of its own admits it, behind the hybrids.
#[tokio::test(flavor = "multi_thread")]
async fn pq_required_admits_ml_kem_alone_too_and_nothing_classical() {
    holds(
        "policy = \"pq-required\"",
        &[
            ("MLKEM1024", gets("MLKEM1024", "full")),
            ("X25519:MLKEM1024", gets("MLKEM1024", "hrr")),
            ("MLKEM1024:*X25519", gets("MLKEM1024", "hrr")),
            ("X25519MLKEM768", gets("X25519MLKEM768", "full")),
            ("*MLKEM1024:X25519MLKEM768", gets("X25519MLKEM768", "hrr")),
            ("MLKEM768", REFUSED),
            ("X25519", REFUSED),
            ("X25519:P-256:P-384", REFUSED),
        ],
    )
    .await;
    holds(
        "policy = \"pq-required\"\ngroups = [\"MLKEM1024\"]",
        &[
            ("MLKEM1024", gets("MLKEM1024", "full")),
            ("X25519MLKEM768:MLKEM1024", gets("MLKEM1024", "hrr")),
            ("*X25519MLKEM768:*MLKEM1024", gets("MLKEM1024", "full")),
            ("X25519MLKEM768:SecP384r1MLKEM1024", REFUSED),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classical_only_stays_classical_and_refuses_a_hybrid_only_client() {
    holds(
        "policy = \"classical-only\"",
        &[
            ("X25519MLKEM768", REFUSED),
            ("SecP256r1MLKEM768", REFUSED),
            ("SecP384r1MLKEM1024", REFUSED),
            ("X25519", gets("X25519", "full")),
            ("P-256", gets("secp256r1", "full")),
            ("P-384", gets("secp384r1", "full")),
            ("X25519:X25519MLKEM768", gets("X25519", "full")),
            ("X25519MLKEM768:X25519", gets("X25519", "hrr")),
            ("X25519MLKEM768:*X25519", gets("X25519", "full")),
            ("*X25519:*X25519MLKEM768", gets("X25519", "full")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_list_decides_by_its_order() {
    holds(
        "groups = [\"SecP256r1MLKEM768\", \"X25519MLKEM768\", \"secp256r1\", \"X25519\"]",
        &[
            (
                "*X25519MLKEM768:*SecP256r1MLKEM768",
                gets("SecP256r1MLKEM768", "full"),
            ),
            (
                "X25519MLKEM768:SecP256r1MLKEM768",
                gets("SecP256r1MLKEM768", "hrr"),
            ),
            ("X25519MLKEM768", gets("X25519MLKEM768", "full")),
            ("X25519:P-256", gets("secp256r1", "hrr")),
            ("*X25519:*P-256", gets("secp256r1", "full")),
            ("SecP384r1MLKEM1024:P-384", REFUSED),
        ],
    )
    .await;
    holds(
        "policy = \"hybrid-required\"\ngroups = [\"SecP384r1MLKEM1024\"]",
        &[
            ("X25519MLKEM768:SecP256r1MLKEM768", REFUSED),
            (
                "X25519MLKEM768:SecP384r1MLKEM1024",
                gets("SecP384r1MLKEM1024", "hrr"),
            ),
        ],
    )
    .await;
    holds(
        "policy = \"classical-only\"\ngroups = [\"secp384r1\", \"X25519\"]",
        &[
            ("*X25519:*P-384", gets("secp384r1", "full")),
            ("X25519:P-384", gets("secp384r1", "hrr")),
            ("X25519MLKEM768:*X25519", gets("X25519", "full")),
            ("P-256", REFUSED),
        ],
    )
    .await;
}

/// Pure ML-KEM and an unknown hybrid are no reason to fall back.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_post_quantum_group_is_no_group_in_common() {
    for policy in ["hybrid-preferred", "hybrid-required", "classical-only"] {
        let policy = format!("policy = \"{policy}\"");
        holds(&policy, &[("MLKEM768", REFUSED), ("MLKEM1024", REFUSED)]).await;
    }
    let sidecar = sidecar("policy = \"hybrid-required\"").await;
    // X25519Kyber768Draft00.
    let draft = hello::renamed(&hello::hybrid(), hello::X25519MLKEM768, 0x6399);
    let answer = hello::answer_to(sidecar.address, &draft).await;
    assert_eq!(answer, hello::alert(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rustls_client_gets_what_the_policy_says_whatever_its_order() {
    type Groups = &'static [&'static dyn SupportedKxGroup];
    const CLASSICAL_FIRST: Groups = &[kx_group::X25519, kx_group::X25519MLKEM768];
    const HYBRID_FIRST: Groups = &[kx_group::X25519MLKEM768, kx_group::X25519];
    const CLASSICAL: Groups = &[kx_group::SECP384R1, kx_group::SECP256R1];
    const P256_HYBRID: Groups = &[kx_group::SECP256R1, kx_group::SECP256R1MLKEM768];
    let rows: [(&str, Groups, Option<u16>); 9] = [
        ("hybrid-preferred", CLASSICAL_FIRST, Some(0x11ec)),
        ("hybrid-preferred", HYBRID_FIRST, Some(0x11ec)),
        ("hybrid-preferred", CLASSICAL, Some(0x0018)),
        ("hybrid-preferred", P256_HYBRID, Some(0x11eb)),
        ("hybrid-required", CLASSICAL_FIRST, Some(0x11ec)),
        ("hybrid-required", P256_HYBRID, Some(0x11eb)),
        ("hybrid-required", CLASSICAL, None),
        ("classical-only", HYBRID_FIRST, Some(0x001d)),
        ("classical-only", P256_HYBRID, Some(0x0017)),
    ];
    for (policy, groups, expected) in rows {
        let sidecar = sidecar(&format!("policy = \"{policy}\"")).await;
        let mut provider = rustls_post_quantum::provider();
        provider.kx_groups = groups.to_vec();
        let config = client_config_with(&sidecar.ca, &[], Arc::new(provider));
        let got = sidecar.try_connect(config).await.ok().map(|stream| {
            let group = stream.get_ref().1.negotiated_key_exchange_group();
            u16::from(group.unwrap().name())
        });
        assert_eq!(got, expected, "{policy} and {groups:?}");
    }
}

/// OpenSSL's defaults, as a browser's: hybrid with its share beside a classical one.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_default_settings_ends_on_hybrid_in_one_round_trip() {
    let sidecar = sidecar("").await;
    let connected = Client::new().connect(sidecar.address).await.unwrap();
    assert_eq!(connected.group(), "X25519MLKEM768");
    completed(&sidecar, "MLKEM", "X25519MLKEM768", "full").await;
}
