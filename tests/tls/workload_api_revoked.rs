//! Revocation lists that an agent sends: whom they take away, whom they leave alone, and what is not used.

use hybridge::certgen::Algorithm;
use time::{Duration, OffsetDateTime};

use crate::client_certificates_lists::{numbered, try_with};
use crate::support::agent::{Agent, Saying, identity, svid, with_lists};
use crate::support::pki::{Pair, TestPki, ca_params, client, uri};
use crate::support::{Sidecar, eventually};
use crate::workload_api::{ready, start};

const FAILED: &str = "hybridge_handshake_failures_total";
const NEXT_UPDATE: &str = "hybridge_crl_next_update_timestamp_seconds";
const ID: &str = "spiffe://example.org/ns/ai/sa/chat";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const PARTNER: &str = "spiffe://partner.org/ns/x/sa/y";
const RULES: &str = "client-auth = \"required\"\nallow-uri = [\"spiffe://example.org/**\", \"spiffe://partner.org/**\"]";

const CERTIFICATE_REVOKED: u8 = 44;
const UNKNOWN_CA: u8 = 48;

fn tomorrow() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(1)
}

/// Until the listener says this of a client, as it does once the agent's answer is in use.
async fn says(sidecar: &Sidecar, pair: &Pair, expected: Result<(), Option<u8>>) {
    eventually(&format!("{expected:?}"), async || {
        try_with(sidecar, pair).await == expected
    })
    .await;
}

/// An own domain with lists, from one agent.
struct Domain {
    agent: Agent,
    pki: TestPki,
    sidecar: Sidecar,
    server: Pair,
}

impl Domain {
    async fn new(lists: impl Fn(&TestPki) -> Vec<String>) -> Self {
        let (agent, pki) = (Agent::new(), TestPki::new(Algorithm::EcdsaP256));
        let server = svid(&pki, ID);
        agent.say(saying(&pki, &server, &lists(&pki)));
        agent.listen();
        let sidecar = start(&agent, RULES).await;
        Self {
            agent,
            pki,
            sidecar,
            server,
        }
    }

    fn say(&self, lists: &[String]) {
        self.agent.say(saying(&self.pki, &self.server, lists));
    }

    fn list(&self, serials: &[u8]) -> String {
        self.pki.revocation_list(serials, tomorrow())
    }
}

fn saying(pki: &TestPki, server: &Pair, lists: &[String]) -> Saying {
    let lists: Vec<_> = lists.iter().map(String::as_bytes).collect();
    with_lists(identity(ID, server, pki.ca_pem(), &[]), &lists)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_takes_its_client_away_and_the_next_one_counts() {
    let until = tomorrow();
    let domain = Domain::new(|pki| vec![pki.revocation_list(&[7], until)]).await;
    let sidecar = &domain.sidecar;
    ready(sidecar, 200, "ready").await;
    let [seven, eight] = [7, 8].map(|serial| numbered(&domain.pki, &[uri(BATCH)], serial));
    assert_eq!(
        try_with(sidecar, &seven).await,
        Err(Some(CERTIFICATE_REVOKED))
    );
    let revoked = [("reason", "client_certificate_revoked")];
    sidecar.metric_reaches(FAILED, &revoked, 1.0).await;
    assert_eq!(try_with(sidecar, &eight).await, Ok(()));
    let (named, next) = ([("listener", "test")], until.unix_timestamp() as f64);
    sidecar.metric_is(NEXT_UPDATE, &named, next).await;
    // Nobody is asked for a list that does not exist.
    let chain = domain
        .pki
        .chain_of(&ca_params("intermediate"), &client(&[uri(BATCH)]));
    assert_eq!(try_with(sidecar, &chain).await, Ok(()));

    // The same SVID with another list is another answer.
    domain.say(&[domain.list(&[8])]);
    says(sidecar, &eight, Err(Some(CERTIFICATE_REVOKED))).await;
    assert_eq!(try_with(sidecar, &seven).await, Ok(()));

    domain.say(&[]);
    says(sidecar, &eight, Ok(())).await;
    eventually("nothing to be said of a list that is gone", async || {
        let (_, metrics) = sidecar.admin("/metrics").await;
        !metrics.contains(&format!("{NEXT_UPDATE}{{"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_lists_of_one_ca_the_newer_counts() {
    let until = tomorrow();
    for others in [&[8, 9, 10][..], &[8]] {
        let lists = |pki: &TestPki| {
            let old = pki.revocation_list(others, until - Duration::hours(1));
            vec![old, pki.revocation_list(&[7], until)]
        };
        let domain = Domain::new(lists).await;
        let sidecar = &domain.sidecar;
        ready(sidecar, 200, "ready").await;
        let seven = numbered(&domain.pki, &[uri(BATCH)], 7);
        let refused = Err(Some(CERTIFICATE_REVOKED));
        assert_eq!(try_with(sidecar, &seven).await, refused);
        let eight = numbered(&domain.pki, &[uri(BATCH)], 8);
        assert_eq!(try_with(sidecar, &eight).await, Ok(()));
        let (named, next) = ([("listener", "test")], until.unix_timestamp() as f64);
        sidecar.metric_is(NEXT_UPDATE, &named, next).await;
    }
}

/// Every CA here has the same name, and the lists name nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_cas_of_one_name_do_not_mix() {
    let agent = Agent::new();
    let [own, next, partner] = [(); 3].map(|()| TestPki::new(Algorithm::EcdsaP256));
    let bundle = [own.ca_pem(), next.ca_pem()].concat();
    let federated = [("spiffe://partner.org", partner.ca_pem())];
    let lists = [
        own.revocation_list(&[7], tomorrow()),
        partner.revocation_list(&[8], tomorrow()),
    ];
    let lists = lists.each_ref().map(String::as_bytes);
    let answer = identity(ID, &svid(&own, ID), &bundle, &federated);
    agent.say(with_lists(answer, &lists));
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    ready(&sidecar, 200, "ready").await;
    for (pki, id, serial, expected) in [
        (&own, BATCH, 7, Err(Some(CERTIFICATE_REVOKED))),
        (&own, BATCH, 8, Ok(())),
        // The CA to which the domain changes has no list yet.
        (&next, BATCH, 7, Ok(())),
        (&next, BATCH, 8, Ok(())),
        (&partner, PARTNER, 7, Ok(())),
        (&partner, PARTNER, 8, Err(Some(CERTIFICATE_REVOKED))),
        // Not its domain, list or no list.
        (&partner, BATCH, 7, Err(Some(UNKNOWN_CA))),
    ] {
        let found = try_with(&sidecar, &numbered(pki, &[uri(id)], serial)).await;
        assert_eq!(found, expected, "{id} {serial}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_out_of_date_refuses_the_clients_of_its_issuer_and_says_so() {
    let yesterday = OffsetDateTime::now_utc() - Duration::days(1);
    let domain = Domain::new(|pki| vec![pki.revocation_list(&[], yesterday)]).await;
    let said = "listener `test`: a revocation list of the SPIFFE agent is out of date, the clients of its issuer are refused";
    ready(&domain.sidecar, 200, said).await;
    let eight = numbered(&domain.pki, &[uri(BATCH)], 8);
    assert_eq!(
        try_with(&domain.sidecar, &eight).await,
        Err(Some(UNKNOWN_CA))
    );
    let stale = [("reason", "crl_stale")];
    domain.sidecar.metric_reaches(FAILED, &stale, 1.0).await;
    domain.say(&[domain.list(&[])]);
    says(&domain.sidecar, &eight, Ok(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_used_leaves_the_last_good_answer() {
    let domain = Domain::new(|pki| vec![pki.revocation_list(&[7], tomorrow())]).await;
    let sidecar = &domain.sidecar;
    ready(sidecar, 200, "ready").await;
    let [seven, eight] = [7, 8].map(|serial| numbered(&domain.pki, &[uri(BATCH)], serial));
    let forger = TestPki::new(Algorithm::EcdsaP256);
    let forged = forger.revocation_list(&[8], tomorrow());
    let good = domain.list(&[]);
    let misnamed = domain.pki.in_printable_string();
    let misnamed = misnamed.revocation_list(&[7], tomorrow());
    let large = vec![b'-'; (1 << 20) + 1];
    let answer = || identity(ID, &domain.server, domain.pki.ca_pem(), &[]);
    for (lists, says) in [
        (
            vec![good.as_bytes(), b"none"],
            "of its revocation lists, number 2: it is no revocation list that can be read",
        ),
        (
            vec![domain.pki.ca_pem().as_bytes()],
            "of its revocation lists, number 1: it is no revocation list that can be read",
        ),
        (
            vec![forged.as_bytes()],
            "is not signed by the CA of that name",
        ),
        (
            vec![misnamed.as_bytes()],
            "writes the name in other bytes than the certificate of the CA that signed it",
        ),
        (
            vec![large.as_slice()],
            "its revocation lists have 1048577 bytes, more than 1048576",
        ),
        (
            vec![good.as_bytes(); 129],
            "more identities, bundles or revocation lists than anybody has",
        ),
    ] {
        domain.agent.say(with_lists(answer(), &lists));
        ready(sidecar, 200, says).await;
        let refused = try_with(sidecar, &seven).await;
        assert_eq!(refused, Err(Some(CERTIFICATE_REVOKED)), "{says}");
        assert_eq!(try_with(sidecar, &eight).await, Ok(()), "{says}");
    }
    // The CA stands twice, under each form of its name, and the list is for one of them.
    let twice = domain.pki.ca_pem().to_owned() + domain.pki.in_printable_string().ca_pem();
    let twice = identity(ID, &domain.server, &twice, &[]);
    domain.agent.say(with_lists(twice, &[good.as_bytes()]));
    ready(sidecar, 200, "does not count for one of the CAs").await;
    domain.agent.say(with_lists(answer(), &[good.as_bytes()]));
    says(sidecar, &seven, Ok(())).await;
}

/// The bundle has the root alone. What the list calls the intermediate CA is the same name in another string type.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_an_intermediate_counts_however_it_writes_the_name() {
    let domain = Domain::new(|_| Vec::new()).await;
    ready(&domain.sidecar, 200, "ready").await;
    let intermediate = domain.pki.intermediate("unit");
    let otherwise = intermediate.named_in_printable_string("unit");
    let [seven, eight, nine] = [7, 8, 9].map(|serial| {
        let mut pair = numbered(&intermediate, &[uri(BATCH)], serial);
        pair.cert += intermediate.ca_pem();
        pair
    });
    for list in [&intermediate, &otherwise].map(|ca| ca.revocation_list(&[7], tomorrow())) {
        domain.say(&[]);
        says(&domain.sidecar, &seven, Ok(())).await;
        domain.say(&[list]);
        says(&domain.sidecar, &seven, Err(Some(CERTIFICATE_REVOKED))).await;
        assert_eq!(try_with(&domain.sidecar, &eight).await, Ok(()));
    }
    // One out of date is not missed beside a newer one.
    let old = otherwise.revocation_list(&[7], tomorrow() - Duration::days(2));
    domain.say(&[intermediate.revocation_list(&[9], tomorrow()), old]);
    says(&domain.sidecar, &nine, Err(Some(CERTIFICATE_REVOKED))).await;
    assert_eq!(try_with(&domain.sidecar, &eight).await, Ok(()));
    let refused = try_with(&domain.sidecar, &seven).await;
    assert_eq!(refused, Err(Some(CERTIFICATE_REVOKED)));
}
