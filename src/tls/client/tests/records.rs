//! Records that a server must not send: the alert that it gets, and the reason that is counted.

use rustls::ServerConnection;

use super::*;

const ALERT: [u8; 6] = [21, 3, 3, 0, 2, 2];
const MISBEHAVED: &str = "misbehaved";

/// A server's whole answer to a ClientHello, however short: what it is told, and why our side ended. The time of
/// these tests stands still until nothing else is left to wait for.
async fn answered(answer: &[u8]) -> (Vec<u8>, ClientError) {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let client = trusts(&made);
    let (near, mut far) = duplex(1 << 16);
    let answer = answer.to_vec();
    let theirs = tokio::spawn(async move {
        let mut hello = [0; 4096];
        assert!(far.read(&mut hello).await.unwrap() > 0);
        far.write_all(&answer).await.unwrap();
        let mut told = Vec::new();
        far.read_to_end(&mut told).await.unwrap();
        told
    });
    let name = ServerName::try_from("localhost").unwrap();
    let peer = client.peer("localhost:443", name, None);
    let failed = connect(near, peer, counters()).await.err().unwrap();
    (theirs.await.unwrap(), failed.error)
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_told_so_before_the_server_hello() {
    for (answer, alert, reason) in [
        // Messages of no length, and a change_cipher_spec that nothing stands before.
        (&[21, 3, 3, 0, 0][..], 10, MISBEHAVED),
        (&[22, 3, 3, 0, 0], 10, MISBEHAVED),
        (&[20, 3, 3, 0, 1, 1], 10, "malformed"),
        // A ServerHello of 16 MiB.
        (&[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff], 50, "malformed"),
    ] {
        let (told, error) = answered(answer).await;
        assert_eq!(told, [&ALERT[..], &[alert]].concat(), "{answer:?}: {error}");
        assert_eq!(error.reason(), reason, "{answer:?}: {error}");
    }
}

/// Who sends an alert of an error gives up, whatever the level. It needs no answer.
#[tokio::test(start_paused = true)]
async fn a_warning_in_place_of_a_server_hello_is_an_alert() {
    for (alert, reason) in [
        (40, "no_common_group"),
        (70, "tls_version"),
        (80, "server_alert"),
    ] {
        let (told, error) = answered(&[21, 3, 3, 0, 2, 1, alert]).await;
        assert_eq!((told.as_slice(), error.reason()), (&[][..], reason));
    }
    // A server that does not know the name may go on (RFC 6066 §3): this one falls silent.
    let (_, error) = answered(&[21, 3, 3, 0, 2, 1, 112]).await;
    assert_eq!(error.reason(), "timeout");
}

/// A server by hand, up to its Finished. Its first flight, in records; the rest of it by `change`.
async fn in_the_middle(change: impl FnOnce(Vec<Vec<u8>>) -> Vec<u8>) -> (Ours, rustls::Error) {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (client, server) = (trusts(&made), shows(made.cert.der(), &made.signing_key));
    let mut server = ServerConnection::new(Arc::clone(server.config())).unwrap();
    let (near, mut far) = duplex(1 << 16);
    let near = Noted {
        pipe: near,
        writes: Arc::default(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let peer = client.peer("localhost:443", name, None);
    let ours = tokio::spawn(connect(near, peer, counters()));
    let mut hello = [0; 4096];
    let count = far.read(&mut hello).await.unwrap();
    server.read_tls(&mut &hello[..count]).unwrap();
    server.process_new_packets().unwrap();
    let mut flight = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut flight).unwrap();
    }
    let mut records = Vec::new();
    while !flight.is_empty() {
        let length = 5 + usize::from(u16::from_be_bytes([flight[3], flight[4]]));
        let rest = flight.split_off(length);
        records.push(std::mem::replace(&mut flight, rest));
    }
    far.write_all(&change(records)).await.unwrap();
    let ours = ours.await.unwrap();
    let ours = match ours {
        Ok((mut stream, session)) => {
            stream.flush().await.unwrap();
            Ok((stream, session))
        }
        failed => failed,
    };
    let mut told = vec![0; 4096];
    let count = far.read(&mut told).await.unwrap();
    server.read_tls(&mut &told[..count]).unwrap();
    let said = server
        .process_new_packets()
        .map(|_| rustls::Error::HandshakeNotComplete);
    (ours, said.unwrap_or_else(|error| error))
}

/// The alert comes under the keys, and rustls's server reads it.
#[tokio::test(start_paused = true)]
async fn records_that_must_not_be_behind_the_server_hello_are_unexpected() {
    let changes = [20, 3, 3, 0, 1, 1].repeat(3);
    for record in [
        &[21, 3, 3, 0, 0][..],
        &[22, 3, 3, 0, 0],
        // EncryptedExtensions in plaintext (RFC 8446 §5.2).
        &[22, 3, 3, 0, 6, 8, 0, 0, 2, 0, 0],
        &changes,
    ] {
        let (ours, said) = in_the_middle(|mut records| {
            records.insert(1, record.to_vec());
            records.concat()
        })
        .await;
        assert_eq!(ours.err().unwrap().error.reason(), MISBEHAVED, "{record:?}");
        let unexpected = rustls::AlertDescription::UnexpectedMessage;
        assert_eq!(said, rustls::Error::AlertReceived(unexpected), "{record:?}");
    }
}

/// A handshake message may be in as many records as it has bytes (RFC 8446 §5.1).
#[tokio::test(start_paused = true)]
async fn a_server_hello_may_come_byte_by_byte() {
    let (ours, said) = in_the_middle(|mut records| {
        let bytes = records.remove(0).split_off(5);
        let each = bytes.iter().flat_map(|byte| [22, 3, 3, 0, 1, *byte]);
        each.chain(records.concat()).collect()
    })
    .await;
    assert!(ours.is_ok());
    assert_eq!(said, rustls::Error::HandshakeNotComplete, "no alert");
}

/// rustls waits for the rest of a record that is too long, up to the deadline. The time of this test stands still
/// until nothing else is left to wait for.
#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_long_ends_a_handshake_at_once() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let client = trusts(&made);
    for length in [(1_u16 << 14) + 1, (1 << 14) + 257] {
        let (near, mut far) = duplex(1 << 16);
        let theirs = tokio::spawn(async move {
            let mut hello = [0; 4096];
            assert!(far.read(&mut hello).await.unwrap() > 0);
            let [high, low] = length.to_be_bytes();
            far.write_all(&[22, 3, 3, high, low, 2]).await.unwrap();
            let mut alert = Vec::new();
            far.read_to_end(&mut alert).await.unwrap();
            alert
        });
        let name = ServerName::try_from("localhost").unwrap();
        let peer = client.peer("localhost:443", name, None);
        let failed = connect(near, peer, counters()).await.err().unwrap();
        assert!(matches!(failed.error, ClientError::Oversized), "{failed:?}");
        assert_eq!(theirs.await.unwrap(), [21, 3, 3, 0, 2, 2, 22]);
    }
}
