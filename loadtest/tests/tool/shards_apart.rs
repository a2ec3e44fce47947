//! Shards that did not begin together: what each did before its first block is counted, and the whole says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::program::{Place, assert_told, tool};
use crate::support::{Pki, serve};
use hybridge_loadtest::results::{Results, file, merge::merge};
use hybridge_loadtest::tls::Group;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server, and metrics that count its connections as handshakes; their ports.
async fn counting(pki: &Pki) -> [u16; 2] {
    let server = serve(pki.server(&[Group::X25519MLKEM768])).await;
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metrics = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [&front, &metrics].map(|listener| listener.local_addr().unwrap().port());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = front.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut upstream = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut peer, &mut upstream).await
            });
        }
    });
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = metrics.accept().await {
            let mut request = [0; 4096];
            let _ = peer.read(&mut request).await.unwrap();
            let count = seen.load(Ordering::Relaxed);
            let body = format!(
                "hybridge_handshakes_total{{listener=\"a\",group=\"X25519MLKEM768\"}} {count}\n"
            );
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            peer.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    ports
}

fn plan(place: &Place, pki: &Pki, [port, metrics]: [u16; 2]) -> String {
    std::fs::write(place.path("ca.crt"), &pki.ca_pem).unwrap();
    let target = |name: &str, role: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"https://127.0.0.1:{port}\"\nca = \"{}\"\n\
             server_name = \"localhost\"\nmetrics = \"127.0.0.1:{metrics}\"\nlistener = \"a\"\n\
             groups = [\"X25519MLKEM768\"]\n",
            place.path("ca.crt")
        )
    };
    let text = format!(
        "name = \"test\"\nrounds = 2\nblock = \"20ms\"\nwarmup = \"5ms\"\n{}{}[[case]]\nscenario = \"full-handshake\"\n",
        target("hybrid", "subject"),
        target("twin", "baseline")
    );
    std::fs::write(place.path("plan.toml"), text).unwrap();
    place.path("plan.toml")
}

/// The looks of the second are in the server's counts while the first's are taken; one after the other here.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_handshakes_of_a_later_shard_are_its_own() {
    let (place, pki) = (Place::new().await, Pki::new());
    let plan = plan(&place, &pki, counting(&pki).await);
    let mut shards: Vec<Results> = Vec::new();
    for (shard, out) in [("1/2", "first"), ("2/2", "second")] {
        let arguments = ["run", &plan, "--shard", shard, "--out", out, "--quiet"];
        assert_told(&tool(place.folder.path(), &arguments), 0, &[]);
        shards.push(file::load(&place.folder.path().join(out)).unwrap());
    }
    let began = |shard: &Results| shard.cases[0].blocks[0].began_ms;
    let beginnings: Vec<_> = shards.iter().filter_map(began).collect();
    assert!(
        beginnings[0] > 1_700_000_000_000 && beginnings[0] < beginnings[1],
        "{beginnings:?}"
    );
    let whole = merge(shards).unwrap();
    let handshakes = &whole.checks[0];
    assert_eq!(handshakes.what, "handshakes");
    assert!(handshakes.client > 20, "{handshakes:?}");
    assert_eq!(handshakes.client, handshakes.server);
    assert!(
        whole.warnings[0].contains("The shards did not run together: 4 of 4 blocks"),
        "{:?}",
        whole.warnings
    );
    assert!(began(&whole).is_none());
}
