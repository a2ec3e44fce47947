//! The upstream as it is: reused, closed meanwhile, absent, late, broken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::http::{
    Message, counted_app, full, h2_exchange, h2_request, nobody, ok, read_request, read_response,
};
use crate::support::{Setup, Sidecar, answering, eventually, upstream, within};
use bytes::Bytes;
use futures_util::future::join_all;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, Notify};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";

/// One request on a connection of its own.
async fn ask(sidecar: &Sidecar, request: &str) -> Message {
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    within(read_response(&mut stream, false)).await.unwrap()
}

#[track_caller]
fn assert_failed(answer: &Message, status: u16, reason: &str) {
    assert_eq!(answer.status(), status, "{}", answer.head);
    let timing = format!("hybridge;desc=\"{reason}\"");
    assert_eq!(answer.field("server-timing"), Some(&timing[..]));
    assert!(String::from_utf8_lossy(&answer.body).contains(reason));
}

#[tokio::test]
async fn a_connection_is_reused_by_clients_one_after_the_other() {
    let (app, connections) = counted_app(|_| async { ok("x") }).await;
    let sidecar = Setup::in_front_of(app).start();
    for request in [GET, POST, GET] {
        assert_eq!(ask(&sidecar, request).await.status(), 200);
    }
    let client = sidecar.http2().await;
    let request = h2_request("GET", "/").body(()).unwrap();
    h2_exchange(&client, request, Bytes::new()).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_side_by_side_have_connections_of_their_own() {
    let barrier = Arc::new(Barrier::new(2));
    let (app, connections) = counted_app(move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            ok("x")
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let (one, two) = tokio::join!(ask(&sidecar, GET), ask(&sidecar, GET));
    assert_eq!((one.status(), two.status()), (200, 200));
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_the_app_closes_is_not_reused() {
    let (app, connections) = counted_app(|_| async {
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec()
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    for _ in 0..3 {
        let answer = ask(&sidecar, GET).await;
        // The app's `connection` is about its own connection.
        assert_eq!((answer.status(), answer.field("connection")), (200, None));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_the_idle_timeout() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let app = upstream(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            while let Ok(Some(_)) = read_request(&mut stream).await {
                stream.write_all(&ok("x")).await.unwrap();
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .timeouts("upstream-idle-timeout = \"100ms\"")
        .start();
    ask(&sidecar, GET).await;
    eventually("the unused connection to close", async || {
        ended.load(Ordering::SeqCst) == 1
    })
    .await;
}

/// Closes each connection in the moment its second request comes.
async fn closes_on_reuse() -> (SocketAddr, Arc<AtomicUsize>) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let address = upstream(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            if let Ok(Some(_)) = read_request(&mut stream).await {
                stream.write_all(&ok("x")).await.unwrap();
            }
            let _ = stream.peek(&mut [0]).await;
        }
    })
    .await;
    (address, accepted)
}

#[tokio::test]
async fn a_get_on_a_connection_that_just_closed_is_asked_again() {
    let (app, connections) = closes_on_reuse().await;
    let sidecar = Setup::in_front_of(app).start();
    for _ in 0..5 {
        assert_eq!(ask(&sidecar, GET).await.status(), 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 5);
    assert!(
        sidecar
            .metric("hybridge_upstream_failures_total", &[])
            .await
            < 1.0
    );
}

#[tokio::test]
async fn a_post_that_may_have_been_acted_upon_is_not_asked_again() {
    let (app, connections) = closes_on_reuse().await;
    let sidecar = Setup::in_front_of(app).start();
    assert_eq!(ask(&sidecar, POST).await.status(), 200);
    assert_failed(&ask(&sidecar, POST).await, 502, "closed");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_close_that_is_already_visible_harms_no_request() {
    let closed = Arc::new(Notify::new());
    let tell = Arc::clone(&closed);
    let app = upstream(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            if let Ok(Some(_)) = read_request(&mut stream).await {
                stream.write_all(&ok("x")).await.unwrap();
            }
            drop(stream);
            tell.notify_one();
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    for _ in 0..20 {
        assert_eq!(ask(&sidecar, POST).await.status(), 200);
        within(closed.notified()).await;
    }
}

#[tokio::test]
async fn an_app_that_is_not_up_yet_is_answered_for_and_found_once_it_is() {
    let (reserved, address) = nobody();
    let sidecar = Setup::in_front_of(address).start();
    assert_failed(&ask(&sidecar, GET).await, 502, "refused");
    sidecar
        .metric_reaches(
            "hybridge_upstream_failures_total",
            &[("reason", "refused")],
            1.0,
        )
        .await;
    reserved.listen(16).unwrap();
    reserved.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(reserved.into()).unwrap();
    let app = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(&ok("up")).await.unwrap();
        stream
    });
    assert_eq!(ask(&sidecar, GET).await.body, b"up");
    drop(app.await.unwrap());
}

#[tokio::test]
async fn an_unanswered_request_leaves_the_connection_usable() {
    let (_reserved, address) = nobody();
    let sidecar = Setup::in_front_of(address).start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    for request in [GET, GET] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = within(read_response(&mut stream, false)).await.unwrap();
        assert_failed(&answer, 502, "refused");
        assert_eq!(answer.field("connection"), None);
    }
    let head = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = within(read_response(&mut stream, true)).await.unwrap();
    assert_eq!(answer.status(), 502);
    // A body that is not read would be taken for a request.
    stream.write_all(POST.as_bytes()).await.unwrap();
    let answer = within(read_response(&mut stream, false)).await.unwrap();
    assert_eq!(
        (answer.status(), answer.field("connection")),
        (502, Some("close"))
    );
}

#[tokio::test]
async fn an_app_that_hangs_up_before_it_answers_is_a_502() {
    for reset in [false, true] {
        let app = upstream(move |mut stream| async move {
            read_request(&mut stream).await.unwrap();
            if reset {
                socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
        })
        .await;
        let sidecar = Setup::in_front_of(app).start();
        assert_failed(&ask(&sidecar, GET).await, 502, "closed");
        assert_failed(&ask(&sidecar, POST).await, 502, "closed");
        let client = sidecar.http2().await;
        let request = h2_request("GET", "/").body(()).unwrap();
        let (head, ..) = within(h2_exchange(&client, request, Bytes::new()))
            .await
            .unwrap();
        assert_eq!(head.status(), 502);
        assert_eq!(head.headers()["server-timing"], "hybridge;desc=\"closed\"");
    }
}

#[tokio::test]
async fn no_connection_in_time_is_a_504() {
    let (_socket, address, _fill) = full().await;
    for version in ["http1", "http2"] {
        let sidecar = Setup::in_front_of(address)
            .listener(&format!("upstream-http = \"{version}\""))
            .timeouts("connect-timeout = \"300ms\"")
            .start();
        // Those who wait for the same connection wait no longer than it may take.
        let started = std::time::Instant::now();
        let (a, b, c, d) = tokio::join!(
            ask(&sidecar, GET),
            ask(&sidecar, GET),
            ask(&sidecar, GET),
            ask(&sidecar, GET),
        );
        let answers = [a, b, c, d];
        for answer in answers {
            assert_failed(&answer, 504, "timeout");
        }
        println!("{version}: four answers after {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn answers_that_parsers_disagree_about_are_a_502() {
    const BAD: &[&[u8]] = &[
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: 1\r\n 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\nx: 1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
    ];
    for bad in BAD {
        let sidecar = Setup::in_front_of(answering(bad).await).start();
        let answer = ask(&sidecar, GET).await;
        assert_failed(&answer, 502, "bad_response");
        let client = sidecar.http2().await;
        let request = h2_request("GET", "/").body(()).unwrap();
        let (head, ..) = within(h2_exchange(&client, request, Bytes::new()))
            .await
            .unwrap();
        assert_eq!(head.status(), 502, "{}", bad.escape_ascii());
    }
}

#[tokio::test]
async fn an_app_behind_a_unix_socket_is_reached_and_reused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let sidecar = Setup::in_front_of(format!("unix:{}", path.display())).start();
    assert_failed(&ask(&sidecar, GET).await, 502, "refused");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                while let Ok(Some(request)) = read_request(&mut stream).await {
                    stream.write_all(&ok(request.head)).await.unwrap();
                }
            });
        }
    });
    for _ in 0..3 {
        let answer = ask(&sidecar, "GET / HTTP/1.0\r\n\r\n").await;
        let seen = String::from_utf8(answer.body).unwrap();
        assert!(seen.contains("host: localhost"), "{seen}");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

/// A TCP socket waits for room in the queue of the app; a Unix socket refuses, and is asked again.
#[tokio::test]
async fn the_full_queue_of_a_unix_socket_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    socket.listen(1).unwrap();
    let sidecar = Setup::in_front_of(format!("unix:{}", path.display()))
        .timeouts("connect-timeout = \"1s\"")
        .start();
    let all = join_all((0..8).map(|_| ask(&sidecar, GET)));
    let serving = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let listener: std::os::unix::net::UnixListener = socket.into();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        for _ in 0..8 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await.unwrap().unwrap();
            stream.write_all(&ok(request.head)).await.unwrap();
        }
        listener
    };
    let (answers, listener) = tokio::join!(all, serving);
    for answer in answers {
        assert_eq!(answer.status(), 200);
    }
    // Nobody takes what comes now.
    let mut queue = Vec::new();
    while let Ok(waiting) = tokio::net::UnixStream::connect(&path).await {
        queue.push(waiting);
    }
    assert_failed(&ask(&sidecar, GET).await, 504, "timeout");
    drop(listener);
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_passed_on() {
    let early = upstream(|mut stream| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let sidecar = Setup::in_front_of(early).start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = within(read_response(&mut stream, false)).await.unwrap();
    assert_eq!((answer.status(), &answer.body[..]), (403, &b"no"[..]));
    assert_eq!(answer.field("connection"), Some("close"));
}
