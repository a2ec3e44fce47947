//! A listener whose address stays keeps its socket: nobody is refused.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{DRAIN, address, client, generation, reload, streaming};
use crate::support::client::{read_until, stream};
use crate::support::http::nobody;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, client_config, connect, eventually, within};
use rustix::process::Signal;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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

const UNSERVED: &str = "connection closed before it had a permit";

/// A listener that goes, or ends with the process: one connection waits for a permit, another for its client's
/// hello.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_a_listener_that_goes_is_said() {
    for removed in [true, false] {
        let stage = Stage::new().await;
        let setup = Setup::in_front_of(stage.address)
            .process("[drain]\ndelay = \"0s\"\ntimeout = \"2s\"")
            .limits("max-connections = 1")
            .second_listener("");
        let process = Process::start(&setup).await;
        let _held = streaming(&process, process.address).await;
        let waits = TcpStream::connect(process.address).await.unwrap();
        let second = address(&process, "listeners", "second").await.unwrap();
        let mut begins = TcpStream::connect(second).await.unwrap();
        begins.write_all(&[22, 3, 1, 2]).await.unwrap();
        for stream in [&waits, &begins] {
            let (server, client) = (stream.peer_addr().unwrap(), stream.local_addr().unwrap());
            eventually("the connection to be accepted", async || {
                is_accepted(server.port(), client.port())
            })
            .await;
        }
        if removed {
            let elsewhere = "listen = \"127.0.0.2:0\"\nupstream";
            let toml = setup.toml(&process.dir);
            let toml = toml.replace("listen = \"127.0.0.1:0\"\nupstream", elsewhere);
            let toml = toml.replace("\"test\"", "\"one\"");
            reload(&process, &toml.replace("\"second\"", "\"two\""));
        } else {
            process.signal(Signal::TERM);
        }
        let of = |listener: &str, stream: &TcpStream| {
            format!(
                "listener={listener} client={}",
                stream.local_addr().unwrap()
            )
        };
        let said = format!("INFO message=\"{UNSERVED}\" {}", of("test", &waits));
        process.logs(&said).await;
        let said = format!(
            "INFO message=\"connection closed\" {} outcome=\"cut\"",
            of("second", &begins)
        );
        process.logs(&said).await;
    }
}

/// One that was accepted and waits for a permit goes with its socket to the next owner.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_listener_accepted_is_served_by_one_of_another_name() {
    let stage = Stage::new().await;
    let (held, fixed) = nobody();
    drop(held);
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let toml = |name: &str, connections: u8| {
        let dir = process.dir.path().display();
        format!(
            "{}\n[[listener]]\nname = \"{name}\"\nlisten = \"{fixed}\"\nupstream = \"{}\"\n[listener.tls]\ncert = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"\n[listener.limits]\nmax-connections = {connections}\n",
            setup.toml(&process.dir),
            stage.address
        )
    };
    reload(&process, &toml("one", 1));
    generation(&process, 2).await;
    let mut first = stream(client(&process, fixed).await).await;
    let accepted = TcpStream::connect(fixed).await.unwrap();
    let end = accepted.local_addr().unwrap();
    eventually("the second connection to be accepted", async || {
        is_accepted(fixed.port(), end.port())
    })
    .await;
    let queued = TcpStream::connect(fixed).await.unwrap();

    reload(&process, &toml("other", 4));
    process.logs("added=other").await;
    assert!(!process.log().contains(UNSERVED), "{}", process.log());
    for waiting in [accepted, queued] {
        let config = Arc::new(client_config(&process.ca, &["http/1.1"]));
        let name = ServerName::try_from("localhost").unwrap();
        let secured = TlsConnector::from(config).connect(name, waiting);
        let mut client = within(secured).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        within(client.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }
    read_until(&mut first, "data: x").await;
}

/// Whether the server's end of a connection has left the kernel's queue: it has an inode then.
fn is_accepted(server: u16, client: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let [server, client] = [server, client].map(|port| format!(":{port:04X}"));
    table.lines().any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        columns[1].ends_with(&server) && columns[2].ends_with(&client) && columns[9] != "0"
    })
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
