//! A CA of an agent's bundle that cannot be used: it is left out, and the rest of the answer counts.

use hybridge::certgen::Algorithm;

use crate::support::agent::{Agent, identity, svid};
use crate::support::eventually;
use crate::support::openssl::Client;
use crate::support::pki::{TestPki, ca_params, client, constrained_to_uris, uri};
use crate::workload_api::{ready, start};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const ID: &str = "spiffe://example.org/ns/ai/sa/chat";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const PARTNER: &str = "spiffe://partner.org/ns/x/sa/y";
const RULES: &str = "client-auth = \"required\"\nallow-uri = [\"spiffe://example.org/**\", \"spiffe://partner.org/**\"]";

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

/// None is left: what was in use stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_without_a_ca_that_can_be_used_leaves_the_last_answer() {
    let (agent, pki) = (Agent::new(), TestPki::new(Algorithm::EcdsaP256));
    agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    ready(&sidecar, 200, "ready").await;
    agent.say(identity(ID, &svid(&pki, ID), &constrained(), &[]));
    ready(&sidecar, 200, "name constraint on URIs").await;
}
