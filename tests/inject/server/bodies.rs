//! Bodies that are slow, broken or too large, and what others see of them.

use super::*;

#[test]
fn slow_and_broken_clients_do_not_block_others() {
    let server = Running::start();
    let silent: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(server.webhook).unwrap())
        .collect();
    let mut slow: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream
            .write_all(format!("{}{{", head(100_000)).as_bytes())
            .unwrap();
    }
    let mut garbage = TcpStream::connect(server.webhook).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut broken = server.connect();
    broken.write_all(b"\x00\x01\x02\r\n\r\n").unwrap();
    drop(broken);
    let before = Instant::now();
    ask(&mut server.connect());
    assert!(
        before.elapsed() < Duration::from_secs(3),
        "waited for the slow ones: {:?}",
        before.elapsed()
    );
    let (status, _) = answer(&mut slow[0]);
    assert_eq!(status, "HTTP/1.1 408 Request Timeout");
    drop(silent);
}

/// Large bodies that stop on their way hold up no large one that is there.
#[test]
fn large_bodies_that_stall_do_not_block_others() {
    let server = Running::start();
    let mut stalled: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for stream in &mut stalled {
        stream.write_all(head(4_000_000).as_bytes()).unwrap();
        stream.write_all(&vec![b' '; 140_000]).unwrap();
    }
    let before = Instant::now();
    let mut stream = server.connect();
    stream.write_all(head(300_000).as_bytes()).unwrap();
    stream.write_all(&vec![b' '; 300_000]).unwrap();
    let (status, _) = answer(&mut stream);
    assert!(status.starts_with("HTTP/1.1 4"), "{status}");
    assert_ne!(status, "HTTP/1.1 408 Request Timeout");
    assert!(
        before.elapsed() < Duration::from_secs(3),
        "waited for the stalled ones: {:?}",
        before.elapsed()
    );
}

#[test]
fn a_body_above_the_limit_is_refused_cleanly() {
    let server = Running::start();
    let length = (4 << 20) + 1;
    for sent in [0, length] {
        let mut stream = server.connect();
        stream.write_all(head(length).as_bytes()).unwrap();
        // A client that writes before it reads must not find the connection reset.
        stream.write_all(&vec![b'x'; sent]).unwrap();
        let (status, body) = answer(&mut stream);
        assert_eq!(status, "HTTP/1.1 413 Payload Too Large");
        assert!(String::from_utf8_lossy(&body).contains("4194304"));
    }
    ask(&mut server.connect());
}
