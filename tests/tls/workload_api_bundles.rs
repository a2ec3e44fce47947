//! A CA of an agent's bundle that cannot be used: it is left out, and the rest of the answer counts.

use hybridge::certgen::Algorithm;

use crate::support::agent::{Agent, identity, svid};
use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, ca_params, client, constrained_to_uris, uri};
use crate::support::{Sidecar, eventually};
use crate::workload_api::{ready, served_sha256, sha256, start};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const ID: &str = "spiffe://example.org/ns/ai/sa/chat";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const PARTNER: &str = "spiffe://partner.org/ns/x/sa/y";
const LATE: &str = "spiffe://late.org/ns/x/sa/y";
const RULES: &str = "client-auth = \"required\"\nallow-uri = [\"spiffe://example.org/**\", \"spiffe://partner.org/**\", \"spiffe://late.org/**\"]";

/// A CA with a name constraint on URIs, which the verifier cannot verify.
fn constrained() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = constrained_to_uris(ca_params("constrained"));
    params.self_signed(&key).unwrap().pem()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_cannot_be_used_does_not_keep_the_others_out_of_use() {
    let [pki, partner] = [(); 2].map(|()| TestPki::new(Algorithm::EcdsaP256));
    let leaf = pki.client(&[uri(BATCH)]).cert;
    for (bundle, federated) in [
        (constrained() + pki.ca_pem(), partner.ca_pem().to_owned()),
        (
            pki.ca_pem().to_owned() + &leaf,
            partner.ca_pem().to_owned() + &constrained(),
        ),
    ] {
        let agent = Agent::new();
        let agent_says = identity(
            ID,
            &svid(&pki, ID),
            &bundle,
            &[("spiffe://partner.org", &federated)],
        );
        agent.say(agent_says);
        agent.listen();
        let sidecar = start(&agent, RULES).await;
        ready(&sidecar, 200, "ready").await;
        for (ca, id) in [(&pki, BATCH), (&partner, PARTNER)] {
            let pair = ca.issue(&client(&[uri(id)]));
            eventually(id, async || {
                let client = Client::new().presenting(&pair.cert, &pair.key);
                let connected = client.connect(sidecar.address).await.unwrap();
                connected.exchange(REQUEST).await.is_ok()
            })
            .await;
        }
    }
}

async fn is_in(sidecar: &Sidecar, ca: &TestPki, id: &str) -> bool {
    let pair = ca.issue(&client(&[uri(id)]));
    let client = Client::new().presenting(&pair.cert, &pair.key);
    let Ok(connected) = client.connect(sidecar.address).await else {
        return false;
    };
    connected.exchange(REQUEST).await.is_ok()
}

/// None is left: the CAs of the answer before stay in use, and the rest of this one counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_without_a_ca_that_can_be_used_leaves_the_last_one_of_its_domain() {
    let agent = Agent::new();
    let [pki, partner, late] = [(); 3].map(|()| TestPki::new(Algorithm::EcdsaP256));
    let says = |pair: &Pair, bundle: &str, federated: &[(&str, &str)]| {
        agent.say(identity(ID, pair, bundle, federated));
    };
    says(&svid(&pki, ID), &constrained(), &[]);
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    // There is no answer before.
    ready(&sidecar, 503, "name constraint on URIs").await;
    let old = [("spiffe://partner.org", partner.ca_pem())];
    says(&svid(&pki, ID), pki.ca_pem(), &old);
    ready(&sidecar, 200, "ready").await;
    assert!(is_in(&sidecar, &partner, PARTNER).await);
    let new = [("spiffe://late.org", late.ca_pem())];
    for bundle in [&constrained(), ""] {
        let renewed = svid(&pki, ID);
        says(&renewed, bundle, &new);
        let kept = "bundle of `example.org` not used, the CAs of the last one stay in use";
        ready(&sidecar, 200, kept).await;
        eventually("the renewed SVID", async || {
            served_sha256(&sidecar).await == Some(sha256(&renewed))
        })
        .await;
        assert!(is_in(&sidecar, &pki, BATCH).await);
        assert!(is_in(&sidecar, &late, LATE).await);
        assert!(!is_in(&sidecar, &partner, PARTNER).await);
        says(&svid(&pki, ID), pki.ca_pem(), &new);
        eventually("nothing to stand against it", async || {
            let (status, page) = sidecar.admin("/readyz").await;
            status == 200 && !page.contains("not used")
        })
        .await;
    }
}

/// The last bundle of another domain is of no use to this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_of_another_domain_keeps_no_bundle() {
    let (agent, pki) = (Agent::new(), TestPki::new(Algorithm::EcdsaP256));
    agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    ready(&sidecar, 200, "ready").await;
    let before = served_sha256(&sidecar).await;
    agent.say(identity(PARTNER, &svid(&pki, PARTNER), &constrained(), &[]));
    ready(&sidecar, 200, "name constraint on URIs").await;
    assert_eq!(served_sha256(&sidecar).await, before);
}
