//! Sessions where an agent gives the bundles: they resume at every replica with the same ones, and nowhere once a
//! list or a bundle changed.

use std::net::SocketAddr;

use hybridge::certgen::Algorithm;
use openssl::ssl::SslSession;
use rcgen::SerialNumber;
use time::{Duration, OffsetDateTime};

use crate::resumption::{Shared, presenting};
use crate::support::agent::{Agent, Saying, identity, svid, with_lists};
use crate::support::eventually;
use crate::support::pki::{Pair, TestPki, client, uri};
use crate::workload_api::{ready, start};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const ID: &str = "spiffe://example.org/ns/ai/sa/chat";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const RULES: &str = "client-auth = \"required\"\nallow-uri = [\"spiffe://example.org/**\"]";
const CERTIFICATE_REVOKED: u8 = 44;

fn batch(pki: &TestPki) -> Pair {
    let mut params = client(&[uri(BATCH)]);
    params.serial_number = Some(SerialNumber::from_slice(&[7]));
    pki.issue(&params)
}

/// Whether it was resumed, and the session that the server gave.
async fn connected(
    address: SocketAddr,
    pair: &Pair,
    session: Option<&SslSession>,
) -> Result<(bool, SslSession), Option<u8>> {
    let mut client = presenting(pair);
    if let Some(session) = session {
        client = client.resuming(session);
    }
    let connected = client.connect(address).await.unwrap();
    let resumed = connected.is_resumed();
    let mut finished = connected.exchange(REQUEST).await?;
    Ok((resumed, finished.sessions.pop().expect("no ticket")))
}

/// A ticket would otherwise outlive the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_on_a_list_of_the_agent_does_not_resume() {
    let (agent, pki) = (Agent::new(), TestPki::new(Algorithm::EcdsaP256));
    let answer = identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]);
    agent.say(answer.clone());
    agent.listen();
    let sidecar = start(&agent, RULES).await;
    ready(&sidecar, 200, "ready").await;
    let pair = batch(&pki);
    let (_, session) = connected(sidecar.address, &pair, None).await.unwrap();
    // OpenSSL offers a session that was resumed no second time.
    let again = connected(sidecar.address, &pair, Some(&session)).await;
    let (resumed, session) = again.unwrap();
    assert!(resumed);
    let list = pki.revocation_list(&[7], OffsetDateTime::now_utc() + Duration::days(1));
    agent.say(with_lists(answer, &[list.as_bytes()]));
    eventually("the client to be refused", async || {
        let alert = connected(sidecar.address, &pair, None).await.err();
        alert == Some(Some(CERTIFICATE_REVOKED))
    })
    .await;
    let again = connected(sidecar.address, &pair, Some(&session)).await;
    assert_eq!(again.err(), Some(Some(CERTIFICATE_REVOKED)));
}

/// Each replica has an SVID of its own, and its agent sends bundles and lists in an order of its own.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_the_same_bundles_share_sessions() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let keys = format!("ticket-keys = \"{}\"", shared.path("tickets").display());
    let rules = format!("{RULES}\n{keys}");
    let [own, one, two] = [(); 3].map(|()| TestPki::new(Algorithm::EcdsaP256));
    let until = OffsetDateTime::now_utc() + Duration::days(1);
    let lists = [&own, &one].map(|pki| pki.revocation_list(&[9], until));
    let [first, second] = lists.each_ref().map(String::as_bytes);
    let federated = [
        ("spiffe://one.org", one.ca_pem()),
        ("spiffe://two.org", two.ca_pem()),
    ];
    let says = |federated: &[(&str, &str)], lists: &[&[u8]]| -> Saying {
        with_lists(
            identity(ID, &svid(&own, ID), own.ca_pem(), federated),
            lists,
        )
    };
    let [here, there] = [(); 2].map(|()| Agent::new());
    here.say(says(&federated, &[first, second]));
    there.say(says(&[federated[1], federated[0]], &[second, first]));
    let mut replicas = Vec::new();
    for agent in [&here, &there] {
        agent.listen();
        let sidecar = start(agent, &rules).await;
        ready(&sidecar, 200, "ready").await;
        replicas.push(sidecar);
    }
    let pair = batch(&own);
    let mut session = connected(replicas[0].address, &pair, None).await.unwrap().1;
    for replica in [&replicas[1], &replicas[0]] {
        let again = connected(replica.address, &pair, Some(&session)).await;
        let (resumed, next) = again.unwrap();
        assert!(resumed, "at the other replica");
        session = next;
    }
    // A rotation of the SVID changes nothing about who is trusted.
    there.say(says(&federated, &[first, second]));
    let reloads = ("hybridge_credential_reloads_total", [("result", "ok")]);
    replicas[1].metric_is(reloads.0, &reloads.1, 2.0).await;
    let again = connected(replicas[1].address, &pair, Some(&session)).await;
    let (resumed, session) = again.unwrap();
    assert!(resumed, "after a rotation");
    // Another bundle does.
    there.say(says(&federated[..1], &[first, second]));
    replicas[1].metric_is(reloads.0, &reloads.1, 3.0).await;
    let again = connected(replicas[1].address, &pair, Some(&session)).await;
    assert!(!again.unwrap().0, "under other bundles");
}
