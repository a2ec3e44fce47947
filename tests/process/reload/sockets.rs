//! A listener whose address stays keeps its socket: nobody is refused.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{DRAIN, address, generation, reload};
use crate::support::http::nobody;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, client_config, connect, eventually, within};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Reloads under fire.
const RELOADS: u64 = 12;
const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_is_refused_while_the_configuration_is_reloaded() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let (_reserved, fixed) = nobody();
    // Each changes one listener and gives the other's socket to another name.
    let toml = |number: u64| {
        let limits = format!("max-streams = {}", 10 + number);
        let first = setup.clone().limits(&limits).toml(&process.dir);
        let name = if number.is_multiple_of(2) {
            "one"
        } else {
            "other"
        };
        let dir = process.dir.path().display();
        format!(
            "{first}\n[[listener]]\nname = \"{name}\"\nlisten = \"{fixed}\"\nupstream = \"{}\"\n[listener.tls]\ncert = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"\n",
            stage.address
        )
    };
    reload(&process, &toml(2));
    generation(&process, 2).await;
    let over = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let hammer = |address| {
        let config = client_config(&process.ca, &["http/1.1"]);
        tokio::spawn(hammer(
            address,
            config,
            Arc::clone(&over),
            Arc::clone(&served),
        ))
    };
    let addresses = [process.address, fixed].into_iter();
    let clients: Vec<_> = addresses
        .flat_map(|address| [address; CLIENTS])
        .map(hammer)
        .collect();
    for number in 3..RELOADS + 3 {
        let before = served.load(Ordering::Relaxed);
        reload(&process, &toml(number));
        generation(&process, number).await;
        eventually("clients to be served on", async || {
            served.load(Ordering::Relaxed) >= before + CLIENTS
        })
        .await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap().unwrap();
    }
    assert_eq!(
        address(&process, "listeners", "test").await,
        Some(process.address)
    );
    assert_eq!(address(&process, "listeners", "one").await, Some(fixed));
    assert_eq!(address(&process, "listeners", "other").await, None);
}

/// Connects again and again; the first connection that is not served is the error.
async fn hammer(
    address: SocketAddr,
    config: ClientConfig,
    over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
) -> io::Result<()> {
    while !over.load(Ordering::Relaxed) {
        let mut stream = within(connect(address, config.clone())).await?;
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await?;
        assert!(answer.ends_with("done"), "{answer}");
        served.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
