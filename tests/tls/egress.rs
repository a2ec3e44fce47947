//! The client's side of a policy: against hybridge's own listener and OpenSSL, the group as both sides
//! say it, and the bytes as both sides count them.

use hybridge::certgen::Algorithm;

use crate::support::egress::{app, egress};
use crate::support::openssl::server::Server;
use crate::support::pki::TestPki;
use crate::support::{Setup, Sidecar, upstream};

const COMPLETED: &str = "hybridge_handshakes_total";
const FAILED: &str = "hybridge_handshake_failures_total";
const BYTES: &str = "hybridge_handshake_bytes_sum";
const TICKET_BYTES: &str = "hybridge_ticket_bytes_total";

/// A listener of raw TCP whose app sends back what comes.
async fn listener(policy: &str) -> Sidecar {
    let echo = upstream(|mut stream| async move {
        let (mut from, mut to) = stream.split();
        let _ = tokio::io::copy(&mut from, &mut to).await;
    });
    Setup::in_front_of(echo.await)
        .listener("protocol = \"tcp\"")
        .tls(&format!("policy = \"{policy}\""))
        .start()
}

fn to(server: &Sidecar, policy: &str) -> Sidecar {
    egress(
        &format!("localhost:{}", server.address.port()),
        server.pki.ca_pem(),
        &format!("policy = \"{policy}\""),
        "",
    )
}

async fn sum(sidecar: &Sidecar, direction: &str) -> f64 {
    sidecar.metric(BYTES, &[("direction", direction)]).await
}

#[tokio::test]
async fn each_policy_gets_from_each_policy_what_both_admit_and_both_count_the_same_bytes() {
    for (client, server, group) in [
        ("hybrid-preferred", "hybrid-preferred", "X25519MLKEM768"),
        ("hybrid-preferred", "hybrid-required", "X25519MLKEM768"),
        ("hybrid-preferred", "classical-only", "X25519"),
        ("hybrid-required", "hybrid-preferred", "X25519MLKEM768"),
        ("hybrid-required", "hybrid-required", "X25519MLKEM768"),
        ("classical-only", "hybrid-preferred", "X25519"),
        ("classical-only", "classical-only", "X25519"),
    ] {
        let ingress = listener(server).await;
        let egress = to(&ingress, client);
        for kind in ["full", "resumed"] {
            let ended = app(egress.address, b"ping").await;
            assert_eq!(ended.received, b"ping", "{client} to {server}");
            assert!(!ended.reset);
            let labels = [("group", group), ("kind", kind)];
            egress.metric_reaches(COMPLETED, &labels, 1.0).await;
            ingress.metric_reaches(COMPLETED, &labels, 1.0).await;
        }
        assert_eq!(sum(&egress, "out").await, sum(&ingress, "in").await);
        let tickets = egress.metric(TICKET_BYTES, &[]).await;
        assert!(tickets > 0.0);
        assert_eq!(
            sum(&egress, "in").await,
            sum(&ingress, "out").await - tickets,
            "{client} to {server}: what the listener counts of tickets, the egress counts apart"
        );
        let label = [("direction", "out")];
        let wire = "hybridge_wire_bytes_total";
        assert_eq!(
            egress.metric(wire, &[("direction", "in")]).await,
            ingress.metric(wire, &label).await + tickets
        );
    }
}

#[tokio::test]
async fn policies_without_a_group_in_common_end_in_a_reset_and_a_reason() {
    for (client, server) in [
        ("hybrid-required", "classical-only"),
        ("classical-only", "hybrid-required"),
    ] {
        let ingress = listener(server).await;
        let egress = to(&ingress, client);
        let ended = app(egress.address, b"ping").await;
        assert_eq!((ended.received, ended.reset), (Vec::new(), true));
        let reason = [("reason", "no_common_group")];
        egress.metric_reaches(FAILED, &reason, 1.0).await;
        ingress.metric_reaches(FAILED, &reason, 1.0).await;
        assert_eq!(egress.metric(COMPLETED, &[]).await, 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_gets_the_group_that_the_egress_says_it_got() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let pair = pki.leaf(&["localhost"]);
    for (groups, ours, theirs, kind) in [
        (
            "X25519MLKEM768:X25519",
            "X25519MLKEM768",
            "X25519MLKEM768",
            "full",
        ),
        ("X25519", "X25519", "x25519", "full"),
        (
            "SecP256r1MLKEM768",
            "SecP256r1MLKEM768",
            "SecP256r1MLKEM768",
            "hrr",
        ),
        (
            "SecP384r1MLKEM1024",
            "SecP384r1MLKEM1024",
            "SecP384r1MLKEM1024",
            "hrr",
        ),
        ("P-256", "secp256r1", "secp256r1", "hrr"),
        ("P-384", "secp384r1", "secp384r1", "hrr"),
    ] {
        let server = Server::new(&pair).groups(groups).listen();
        let target = format!("localhost:{}", server.address.port());
        let egress = egress(&target, pki.ca_pem(), "", "");
        let ended = app(egress.address, b"ping").await;
        assert_eq!(ended.received, b"ping", "{groups}");
        assert_eq!(server.seen().await.group, theirs);
        let labels = [("group", ours), ("kind", kind)];
        egress.metric_reaches(COMPLETED, &labels, 1.0).await;
        let retried = egress
            .metric("hybridge_hello_retry_requests_total", &[])
            .await;
        assert_eq!(retried > 0.0, kind == "hrr", "{groups}");
    }
}

/// The library keeps a hint of the group that a server chose, and would send a share of that only from
/// then on: one classical answer would make every later connection classical.
#[tokio::test(flavor = "multi_thread")]
async fn one_classical_answer_does_not_make_the_next_connection_classical() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let server = Server::new(&pki.leaf(&["localhost"]));
    let listening = server.clone().groups("X25519").listen();
    let target = format!("localhost:{}", listening.address.port());
    let egress = egress(&target, pki.ca_pem(), "", "");
    app(egress.address, b"one").await;
    assert_eq!(listening.seen().await.group, "x25519");
    // It prefers whatever has a share, as OpenSSL does by default.
    listening.becomes(&server.groups("X25519MLKEM768:X25519"));
    let ended = app(egress.address, b"two").await;
    assert_eq!(ended.received, b"two");
    let seen = listening.seen().await;
    assert_eq!(seen.group, "X25519MLKEM768");
    let labels = [("group", "X25519MLKEM768"), ("kind", "full")];
    egress.metric_reaches(COMPLETED, &labels, 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_used_once_and_not_without_resumption() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let server = Server::new(&pki.leaf(&["localhost"])).listen();
    let target = format!("localhost:{}", server.address.port());
    let resuming = egress(&target, pki.ca_pem(), "", "");
    for expected in [false, true, true] {
        app(resuming.address, b"x").await;
        assert_eq!(server.seen().await.resumed, expected);
    }
    // OpenSSL sends two after a full handshake and one after another.
    resuming
        .metric_is("hybridge_tickets_received_total", &[], 4.0)
        .await;
    let other = egress(&target, pki.ca_pem(), "resumption = false", "");
    for _ in 0..2 {
        app(other.address, b"x").await;
        assert!(!server.seen().await.resumed);
    }
}
