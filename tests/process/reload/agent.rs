//! Listeners whose certificate and CAs come from an agent: a change of the rules while it is away.

use super::{generation, reload};
use crate::support::agent::{Agent, Saying, identity, svid};
use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, uri};
use crate::support::process::Process;
use crate::support::{Setup, answering, eventually};
use hybridge::certgen::Algorithm;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const ID: &str = "spiffe://example.org/ns/ai/sa/chat";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const NIGHT: &str = "spiffe://example.org/ns/ai/sa/night";

async fn is_served(process: &Process, pair: &Pair) -> bool {
    let client = Client::new().presenting(&pair.cert, &pair.key);
    match client.connect(process.address).await {
        Ok(connected) => connected.exchange(REQUEST).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_gave_last_counts_under_other_rules_while_it_is_away() {
    let agent = Agent::new();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    agent.say(identity(ID, &svid(&pki, ID), pki.ca_pem(), &[]));
    agent.listen();
    let setup = Setup::in_front_of(answering(ANSWER).await)
        .without_files()
        .tls(&agent.setting());
    let rules = |ids: &str| {
        setup
            .clone()
            .tls(&format!("client-auth = \"required\"\nallow-uri = [{ids}]"))
    };
    let process = Process::start(&rules(&format!("\"{BATCH}\""))).await;
    let [batch, night] = [BATCH, NIGHT].map(|id| pki.client(&[uri(id)]));
    eventually("the first client to be served", async || {
        is_served(&process, &batch).await
    })
    .await;
    assert!(!is_served(&process, &night).await);
    agent.say(Saying::Status(14));
    process.logs("Workload API not available").await;

    let both = rules(&format!("\"{BATCH}\", \"{NIGHT}\""));
    reload(&process, &both.toml(&process.dir));
    generation(&process, 2).await;
    assert!(is_served(&process, &batch).await);
    assert!(is_served(&process, &night).await);
    assert_eq!(process.admin("/readyz").await.0, 200);

    // The pair too, where it is not the rules that change.
    let profile = both.clone().tls("unknown-name = \"refuse\"");
    reload(&process, &profile.toml(&process.dir));
    generation(&process, 3).await;
    assert_eq!(process.admin("/readyz").await.0, 200);

    // Another agent is another matter.
    let other = Agent::new();
    let elsewhere = both.toml(&process.dir);
    let elsewhere = elsewhere.replace(&agent.setting(), &other.setting());
    reload(&process, &elsewhere);
    generation(&process, 4).await;
    assert_eq!(process.admin("/readyz").await.0, 503);
    assert!(!is_served(&process, &batch).await);
}
