//! Certificate, key and CAs from a SPIFFE agent: late, denied, rotated, withdrawn, and wrong in
//! every way that was found elsewhere.

use hybridge::certgen::Algorithm;
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

use crate::support::agent::{Agent, Saying, identities, identity, svid, with_lists};
use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, ca_params, client, uri};
use crate::support::{Setup, Sidecar, answering, client_config, connect, eventually};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const FAILED: &str = "hybridge_handshake_failures_total";
const ID: &str = "spiffe://example.org/ns/ai/sa/chat";
const RULES: &str = "client-auth = \"required\"\nallow-uri = [\"spiffe://example.org/**\", \"spiffe://partner.org/**\"]";

pub(crate) async fn start(agent: &Agent, rules: &str) -> Sidecar {
    Setup::in_front_of(answering(ANSWER).await)
        .without_files()
        .tls(&agent.setting())
        .tls(rules)
        .start()
}

/// Waits until the readiness page has the status and says this.
pub(crate) async fn ready(sidecar: &Sidecar, status: u16, says: &str) {
    eventually(&format!("{status} {says}"), async || {
        let (found, page) = sidecar.admin("/readyz").await;
        found == status && page.contains(says)
    })
    .await;
}

pub(crate) async fn served_sha256(sidecar: &Sidecar) -> Option<String> {
    let (_, page) = sidecar.admin("/status").await;
    let status: serde_json::Value = serde_json::from_str(&page).unwrap();
    let sha256 = &status["listeners"][0]["certificate"]["sha256"];
    sha256.as_str().map(str::to_owned)
}

pub(crate) fn sha256(pair: &Pair) -> String {
    let leaf = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
    let bytes = openssl::sha::sha256(&leaf);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn serves(sidecar: &Sidecar, pki: &TestPki) -> bool {
    let config = client_config(pki.ca_pem().as_bytes(), &[]);
    connect(sidecar.address, config).await.is_ok()
}

/// Until the first SVID a listener refuses; the reason stands on the page, and each is its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_agent_and_a_late_registration_are_waited_for() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let sidecar = start(&agent, "").await;
    ready(&sidecar, 503, "is the agent running").await;
    assert!(!serves(&sidecar, &pki).await);
    let none = [("reason", "no_certificate")];
    sidecar.metric_reaches(FAILED, &none, 1.0).await;
    agent.say(Saying::Status(7));
    agent.listen();
    ready(&sidecar, 503, "is this workload registered?").await;
    agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
    ready(&sidecar, 200, "ready").await;
    assert!(serves(&sidecar, &pki).await);
    let (_, metrics) = sidecar.admin("/metrics").await;
    assert!(
        metrics.contains("hybridge_certificate_expiry_timestamp_seconds"),
        "{metrics}"
    );
    assert!(!metrics.contains("spiffe://"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_costs_no_client_its_handshake() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
    agent.listen();
    let sidecar = start(&agent, "").await;
    ready(&sidecar, 200, "ready").await;
    let mut seen = vec![served_sha256(&sidecar).await.unwrap()];
    for _ in 0..5 {
        agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
        eventually("the next SVID", async || {
            assert!(serves(&sidecar, &pki).await);
            let served = served_sha256(&sidecar).await.unwrap();
            let new = !seen.contains(&served);
            if new {
                seen.push(served);
            }
            new
        })
        .await;
    }
    assert_eq!(sidecar.metric(FAILED, &[]).await, 0.0);
    let reloads = [("result", "ok")];
    sidecar
        .metric_reaches("hybridge_credential_reloads_total", &reloads, 6.0)
        .await;
}

/// An agent that answers and ends each call gives nothing new, and is called less and less often.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_svid_again_is_no_reload() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let brief = |pair: &Pair| match identity(ID, pair, pki.ca_pem(), &[]) {
        Saying::Message(message) => Saying::Brief(message),
        other => other,
    };
    agent.say(brief(&svid(&pki, ID)));
    agent.listen();
    let sidecar = start(&agent, "").await;
    let (name, ok) = ("hybridge_credential_reloads_total", [("result", "ok")]);
    let began = std::time::Instant::now();
    eventually("five calls", async || agent.calls() >= 5).await;
    // Pauses of 0.1, 0.2, 0.4 and 0.8 s; a machine that is slow only adds to them.
    assert!(began.elapsed() >= std::time::Duration::from_millis(1300));
    assert_eq!(sidecar.metric(name, &ok).await, 1.0);
    assert!(serves(&sidecar, &pki).await);
    agent.say(brief(&svid(&pki, ID)));
    sidecar.metric_is(name, &ok, 2.0).await;
}

/// The agent takes the identity away: the last SVID counts until it ends, and not a moment longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_identity_lasts_until_it_ends() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let mut params = client(&[uri(ID), SanType::DnsName("localhost".try_into().unwrap())]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_after = OffsetDateTime::now_utc() + Duration::seconds(6);
    agent.say(identity(ID, &pki.issue(&params), pki.ca_pem(), &[]));
    agent.listen();
    let sidecar = start(&agent, "").await;
    ready(&sidecar, 200, "ready").await;
    agent.say(Saying::Status(7));
    ready(&sidecar, 200, "denies an identity").await;
    assert!(serves(&sidecar, &pki).await);
    ready(&sidecar, 503, "denies an identity").await;
    eventually("handshakes to be refused", async || {
        !serves(&sidecar, &pki).await
    })
    .await;
    agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
    ready(&sidecar, 200, "ready").await;
    assert!(serves(&sidecar, &pki).await);
}

/// The agent says it once: when its time comes it counts, and when that is over the page says why nothing does.
#[tokio::test(flavor = "multi_thread")]
async fn an_svid_counts_from_its_first_second_to_its_last() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let mut params = client(&[uri(ID), SanType::DnsName("localhost".try_into().unwrap())]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = OffsetDateTime::now_utc() + Duration::seconds(4);
    params.not_after = OffsetDateTime::now_utc() + Duration::seconds(12);
    agent.say(identity(ID, &pki.issue(&params), pki.ca_pem(), &[]));
    agent.listen();
    let sidecar = start(&agent, "").await;
    ready(&sidecar, 503, "is not valid before").await;
    ready(&sidecar, 200, "ready").await;
    assert!(serves(&sidecar, &pki).await);
    let reloads = "hybridge_credential_reloads_total";
    for (result, count) in [("ok", 1.0), ("failed", 1.0)] {
        let found = sidecar.metric(reloads, &[("result", result)]).await;
        assert_eq!(found, count, "{result}");
    }
    let ended = "the certificate has expired: the last SVID ended at";
    ready(&sidecar, 503, ended).await;
    assert_eq!(agent.calls(), 1);
}

/// What stands against it beside its date is found when that is over: the page and the log name it then, once.
#[tokio::test(flavor = "multi_thread")]
async fn an_svid_whose_time_has_come_says_what_else_is_against_it() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let mut params = client(&[uri(ID), SanType::DnsName("localhost".try_into().unwrap())]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = OffsetDateTime::now_utc() + Duration::seconds(4);
    let pair = pki.issue(&params);
    let answer = identity(ID, &pair, pki.ca_pem(), &[]);
    agent.say(with_lists(answer, &[b"0\x03\x02\x01\x01"]));
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    ready(&sidecar, 503, "is not valid before").await;
    ready(&sidecar, 503, "revocation list").await;
    // It is not tried again: another look would count another failure.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let failed = [("result", "failed")];
    let reloads = "hybridge_credential_reloads_total";
    assert_eq!(sidecar.metric(reloads, &failed).await, 2.0);
    agent.say(identity(ID, &pair, pki.ca_pem(), &[]));
    ready(&sidecar, 200, "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_leaves_the_last_good_one() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let good = identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]);
    agent.say(good.clone());
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    ready(&sidecar, 200, "ready").await;
    let served = served_sha256(&sidecar).await;
    let two_uris = pki.issue(&client(&[uri(ID), uri("spiffe://example.org/other")]));
    let mut ca = ca_params("workload");
    ca.subject_alt_names = vec![uri(ID)];
    let signing = pki.issue(&ca);
    let other = svid(&pki, "spiffe://example.org/ns/ai/sa/other");
    let stranger = TestPki::new(Algorithm::EcdsaP256);
    let mismatched = Pair {
        cert: svid(&pki, ID).cert,
        key: svid(&stranger, ID).key,
    };
    for (saying, says) in [
        (identity(ID, &two_uris, pki.ca_pem(), &[]), "or several"),
        (identity(ID, &signing, pki.ca_pem(), &[]), "it is a CA"),
        (identity(ID, &other, pki.ca_pem(), &[]), "another SPIFFE ID"),
        (
            identity(ID, &mismatched, pki.ca_pem(), &[]),
            "does not belong to",
        ),
        (Saying::Message(Vec::new()), "holds no identity"),
        (Saying::Message(vec![0x0a, 9, 1]), "cut off"),
        (Saying::Raw(vec![1, 0, 0, 0, 0]), "compressed"),
        (Saying::Raw(vec![0, 0xff, 0, 0, 0]), "4 MiB"),
        (Saying::Status(14), "gRPC status 14"),
    ] {
        agent.say(saying);
        ready(&sidecar, 200, says).await;
        assert_eq!(served_sha256(&sidecar).await, served, "{says}");
        let (_, status) = sidecar.admin("/status").await;
        assert!(!status.contains("PRIVATE"), "{status}");
    }
    agent.say(good);
    eventually("no failure to stand", async || {
        sidecar.admin("/readyz").await.1.trim() == "ready"
    })
    .await;
}

/// The operator of the agent tells several identities apart by their hints.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_identities_the_one_with_the_hint_is_used() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let ids = [ID, "spiffe://example.org/ns/ai/sa/inner"];
    let [outer, inner] = ids.map(|id| svid(&pki, id));
    agent.say(identities(
        &[(ids[0], &outer, "outer"), (ids[1], &inner, "inner")],
        pki.ca_pem(),
    ));
    agent.listen();
    let (first, second) = (
        start(&agent, "").await,
        start(&agent, "spiffe-hint = \"inner\"").await,
    );
    let none = start(&agent, "spiffe-hint = \"other\"").await;
    for (sidecar, pair) in [(&first, &outer), (&second, &inner)] {
        ready(sidecar, 200, "ready").await;
        assert_eq!(served_sha256(sidecar).await, Some(sha256(pair)));
    }
    ready(
        &none,
        503,
        "none of the 2 identities of the agent's answer has the hint `other`",
    )
    .await;
    agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
    // The one in use stays.
    ready(&second, 200, "none of the 1 identities").await;
}

/// Each client is verified by the CAs of its own trust domain.
#[tokio::test(flavor = "multi_thread")]
async fn a_federated_ca_certifies_its_own_domain_alone() {
    let agent = Agent::new();
    let (own, partner) = (
        TestPki::new(Algorithm::EcdsaP256),
        TestPki::new(Algorithm::EcdsaP256),
    );
    let stranger = TestPki::new(Algorithm::EcdsaP256);
    let federated = [
        ("spiffe://partner.org", partner.ca_pem()),
        // Names the own domain: a federated bundle must not be trusted about it.
        ("spiffe://example.org", stranger.ca_pem()),
    ];
    agent.say(identity(ID, &svid(&own, ID), own.ca_pem(), &federated));
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    ready(&sidecar, 200, "ready").await;
    let request = async |pair: &Pair| {
        let client = Client::new().presenting(&pair.cert, &pair.key);
        let connected = client.connect(sidecar.address).await.unwrap();
        connected.exchange(REQUEST).await.map(|_| ())
    };
    for (pki, id) in [
        (&own, "spiffe://example.org/ns/ai/sa/batch"),
        (&partner, "spiffe://partner.org/ns/x/sa/y"),
    ] {
        assert_eq!(request(&pki.client(&[uri(id)])).await, Ok(()), "{id}");
    }
    let mut signing = ca_params("client");
    signing.subject_alt_names = vec![uri("spiffe://example.org/ca")];
    let two = [uri("spiffe://example.org/a"), uri("spiffe://example.org/b")];
    let dns = [SanType::DnsName("batch".try_into().unwrap())];
    for (pair, alert, reason) in [
        (
            partner.client(&[uri("spiffe://example.org/x")]),
            48,
            "client_certificate_untrusted",
        ),
        (
            own.client(&[uri("spiffe://partner.org/x")]),
            48,
            "client_certificate_untrusted",
        ),
        (
            stranger.client(&[uri("spiffe://example.org/x")]),
            48,
            "client_certificate_untrusted",
        ),
        (
            own.client(&[uri("spiffe://elsewhere.org/x")]),
            48,
            "client_certificate_untrusted",
        ),
        (own.client(&two), 49, "client_certificate_denied"),
        (own.client(&dns), 49, "client_certificate_denied"),
        (
            own.client(&[uri("spiffe://example.org")]),
            49,
            "client_certificate_denied",
        ),
        (own.issue(&signing), 43, "client_certificate_wrong_purpose"),
    ] {
        let labels = [("reason", reason)];
        let before = sidecar.metric(FAILED, &labels).await;
        assert_eq!(request(&pair).await, Err(Some(alert)), "{reason}");
        sidecar.metric_is(FAILED, &labels, before + 1.0).await;
    }
    // The partner's CA leaves: its clients are refused, the own ones are not.
    agent.say(identity(ID, &svid(&own, ID), own.ca_pem(), &[]));
    eventually("the partner's clients to be refused", async || {
        let pair = partner.client(&[uri("spiffe://partner.org/ns/x/sa/y")]);
        request(&pair).await == Err(Some(48))
    })
    .await;
    let batch = own.client(&[uri("spiffe://example.org/ns/ai/sa/batch")]);
    assert_eq!(request(&batch).await, Ok(()));
}
