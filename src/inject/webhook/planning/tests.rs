//! Limits on memory and time, over connections in memory and with a clock that goes on only when nothing else does.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

use super::*;
use crate::drain::Drain;
use crate::inject::plan::Settings;
use crate::inject::webhook::connection::serve;
use crate::listener::{self, Activity, Admission};
use crate::metrics::Metrics;
use crate::tls::handshake::Alpn;

fn reviews() -> Arc<Reviews> {
    let metrics = Metrics::new().unwrap();
    Reviews::new(Webhook::new(Settings::default(), &metrics).unwrap())
}

fn activity() -> Arc<Activity> {
    let metrics = Metrics::new().unwrap();
    let admission = Admission::new(1, listener::counters(&metrics, "webhook"));
    let permit = admission.try_enter(Ipv4Addr::LOCALHOST.into()).unwrap();
    Arc::clone(permit.activity())
}

fn served(reviews: &Arc<Reviews>, activity: &Arc<Activity>, server: DuplexStream, alpn: Alpn) {
    tokio::spawn(serve(
        server,
        alpn,
        Arc::clone(reviews),
        Drain::default().watch(),
        work(reviews, activity),
        Arc::new(|| ()),
    ));
}

fn work(reviews: &Arc<Reviews>, activity: &Arc<Activity>) -> Arc<Work> {
    let owed = reviews.owed().clone();
    let work = Work::new(Ipv4Addr::LOCALHOST.into(), Arc::clone(activity), owed);
    Arc::new(work)
}

/// A client that announces a body of so many bytes and sends some of them.
async fn client(reviews: &Arc<Reviews>, announced: usize, sent: usize) -> DuplexStream {
    client_of(reviews, &activity(), announced, sent).await
}

/// The same on a connection of that activity.
async fn client_of(
    reviews: &Arc<Reviews>,
    activity: &Arc<Activity>,
    announced: usize,
    sent: usize,
) -> DuplexStream {
    let (mut client, server) = duplex(1 << 20);
    served(reviews, activity, server, Alpn::Http1);
    let head = format!(
        "POST /inject/object HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&vec![b' '; sent]).await.unwrap();
    client
}

/// A client with a whole body of so many lists, behind a text with what would be some.
async fn listing(reviews: &Arc<Reviews>, lists: usize) -> DuplexStream {
    let body = format!("\"[[[\"{}", "[".repeat(lists));
    let mut client = client(reviews, body.len(), 0).await;
    client.write_all(body.as_bytes()).await.unwrap();
    client
}

async fn status(mut client: DuplexStream) -> String {
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    response["HTTP/1.1 ".len()..][..3].to_owned()
}

#[tokio::test(start_paused = true)]
async fn small_bodies_on_their_way_share_the_memory_too() {
    let reviews = reviews();
    let began = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..BODIES / 100_000 + 20 {
        clients.push(client(&reviews, 120_000, 100_000).await);
    }
    let last = clients.pop().unwrap();
    assert_eq!(status(clients.remove(0)).await, "408");
    assert!(began.elapsed() < BODY_TIMEOUT, "{:?}", began.elapsed());
    // The youngest has all the time that there is.
    assert_eq!(status(last).await, "408");
    assert!(began.elapsed() >= BODY_TIMEOUT, "{:?}", began.elapsed());
}

/// Of as many connections as there may be, one makes room while its body is on the way, and none while a pod is planned.
#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_for_its_client_makes_room() {
    let (reviews, metrics) = (reviews(), Metrics::new().unwrap());
    let admission = |limit| Admission::new(limit, listener::counters(&metrics, "webhook"));
    let enter = |admission: &Arc<Admission>| admission.try_enter(Ipv4Addr::LOCALHOST.into());

    let full = admission(2);
    let permits = [(); 2].map(|()| enter(&full).unwrap());
    let mut slow = client_of(&reviews, permits[0].activity(), 100, 1).await;
    let _beside = client_of(&reviews, permits[1].activity(), 100, 1).await;
    sleep(Duration::from_secs(1)).await;
    assert!(enter(&full).is_some(), "slow bodies keep others out");
    let told = Instant::now();
    assert_eq!(slow.read(&mut [0]).await.unwrap(), 0);
    assert!(told.elapsed() < Duration::from_secs(2));

    let full = admission(1);
    let permit = enter(&full).unwrap();
    let plans = u32::try_from(SMALL_PLANS).unwrap();
    let busy = Arc::clone(&reviews.small_plans).acquire_many_owned(plans);
    let _busy = busy.await.unwrap();
    let planned = client_of(&reviews, permit.activity(), 10, 10).await;
    sleep(Duration::from_millis(1)).await;
    assert!(enter(&full).is_none(), "a plan gives way");
    assert_eq!(status(planned).await, "500");
}

#[tokio::test(start_paused = true)]
async fn the_plan_of_a_small_pod_has_a_budget() {
    let reviews = reviews();
    assert_eq!(status(client(&reviews, 10, 10).await).await, "400");
    let all = u32::try_from(SMALL_PLANS).unwrap();
    let plans = Arc::clone(&reviews.small_plans);
    let _busy = plans.acquire_many_owned(all).await.unwrap();
    let began = Instant::now();
    assert_eq!(status(client(&reviews, 10, 10).await).await, "500");
    assert!(began.elapsed() >= PLAN_BUDGET, "{:?}", began.elapsed());
    // A large one has places of its own.
    let large = SMALL_BODY + 1;
    assert_eq!(status(client(&reviews, large, large).await).await, "400");
}

/// Small on the wire, large in memory.
#[tokio::test(start_paused = true)]
async fn values_are_counted_before_they_take_memory() {
    let reviews = reviews();
    let mut refused = String::new();
    let mut client = listing(&reviews, MOST_VALUES + 1).await;
    client.read_to_string(&mut refused).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert!(refused.contains("more than 50000 values"), "{refused}");

    let most = u32::try_from(PLANNED_VALUES - 10).unwrap();
    let values = Arc::clone(&reviews.values);
    let _busy = values.acquire_many_owned(most).await.unwrap();
    assert_eq!(status(listing(&reviews, 10).await).await, "400");
    // Waits for the others, within the budget.
    assert_eq!(status(listing(&reviews, 11).await).await, "500");
}

const REVIEW: &str =
    r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u"}}"#;

/// It reads nothing: what the connection has room for, and the end.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_response_is_given_up() {
    let reviews = reviews();
    let (mut client, server) = duplex(64);
    served(&reviews, &activity(), server, Alpn::Http1);
    let head = format!(
        "POST /inject/object HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{REVIEW}",
        REVIEW.len()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_secs(9)).await;
    assert!(reviews.bodies.bytes() > 100, "{}", reviews.bodies.bytes());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(reviews.bodies.bytes(), 0);
    let mut taken = String::new();
    client.read_to_string(&mut taken).await.unwrap();
    assert_eq!(taken.len(), 64, "{taken}");
}

/// HTTP/2 holds for it what its window does not let through, however much TCP takes.
#[tokio::test(start_paused = true)]
async fn a_client_that_opens_no_window_is_given_up() {
    let reviews = reviews();
    let (client, server) = duplex(1 << 20);
    served(&reviews, &activity(), server, Alpn::Http2);
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let (mut requests, connection) = builder.handshake(client).await.unwrap();
    let connection = tokio::spawn(connection);
    let began = Instant::now();
    let mut responses = Vec::new();
    for _ in 0..3 {
        let request = Request::post("https://x/inject/object")
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        body.send_data(Bytes::from(REVIEW), true).unwrap();
        responses.push(response.await.unwrap());
    }
    let statuses = responses.iter().map(Response::status);
    assert!(statuses.into_iter().all(|status| status == StatusCode::OK));
    assert!(reviews.bodies.bytes() > 300, "{}", reviews.bodies.bytes());
    assert_eq!(reviews.owed().requests(), 3);
    let _ = connection.await.unwrap();
    assert_eq!(reviews.owed().requests(), 0);
    assert!(began.elapsed() >= Duration::from_secs(10));
    assert!(began.elapsed() < Duration::from_secs(11));
    assert_eq!(reviews.bodies.bytes(), 0);
}

/// A connection that a drain meets, and its drain.
fn drained(alpn: Alpn) -> (DuplexStream, Drain) {
    let (client, server) = duplex(1 << 20);
    let (reviews, drain) = (reviews(), Drain::default());
    let work = work(&reviews, &activity());
    let panicked = Arc::new(|| ());
    tokio::spawn(serve(server, alpn, reviews, drain.watch(), work, panicked));
    drain.advance(crate::drain::Phase::Draining);
    (client, drain)
}

/// The client sent it right behind its handshake, and could not know of the drain.
#[tokio::test(start_paused = true)]
async fn the_first_request_of_a_connection_is_served_in_a_drain() {
    let (mut client, drain) = drained(Alpn::Http1);
    sleep(Duration::from_millis(500)).await;
    let head = "POST /inject/object HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(client).await, "415");
    drain.finished().await;

    let (client, drain) = drained(Alpn::Http1);
    let began = Instant::now();
    drain.finished().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    drop(client);
}

/// It asks for nothing and answers no PING.
#[tokio::test(start_paused = true)]
async fn a_mute_client_holds_no_drain_up() {
    let (mut client, drain) = drained(Alpn::Http2);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat();
    client.write_all(&hello).await.unwrap();
    let began = Instant::now();
    drain.finished().await;
    assert!(began.elapsed() < Duration::from_secs(4));
}

/// Over HTTP/1.1 and HTTP/2, whether hyper refuses it or we do.
#[tokio::test(start_paused = true)]
async fn a_head_that_is_refused_is_counted() {
    let metrics = Metrics::new().unwrap();
    let reviews = Reviews::new(Webhook::new(Settings::default(), &metrics).unwrap());
    let large = "y".repeat(9000);
    for (target, field, expected) in [("/inject/object", &large[..], "431"), ("/<x>", "", "400")] {
        let (mut client, server) = duplex(1 << 20);
        served(&reviews, &activity(), server, Alpn::Http1);
        let head =
            format!("POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {field}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(status(client).await, expected);
    }
    let (client, server) = duplex(1 << 20);
    served(&reviews, &activity(), server, Alpn::Http2);
    let (mut requests, connection) = h2::client::handshake(client).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://x/inject/object").header("x", large);
    let (response, _) = requests
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    let status = response.await.unwrap().status();
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let page = String::from_utf8(metrics.render().unwrap()).unwrap();
    let counted = "{reason=\"bad_head\",result=\"error\"} 3\n";
    assert!(page.contains(counted), "{page}");
}
