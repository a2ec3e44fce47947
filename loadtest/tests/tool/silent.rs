//! A target that stops answering: no block and no signal waits for it without end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::endings::{code_of, signal};
use crate::support::program::BIN;
use crate::support::{Pki, case, endpoint, target};
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::run::load::Crew;
use hybridge_loadtest::tls::Group;

/// Answers so many requests in plaintext and none after them; who is told of the first that it leaves.
fn silent_after(requests: usize) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    let answered = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for peer in listener.incoming() {
            let peer = peer.unwrap();
            held.push(peer.try_clone().unwrap());
            let (answered, tell) = (Arc::clone(&answered), tell.clone());
            std::thread::spawn(move || answer(peer, requests, &answered, &tell));
        }
    });
    (address, told)
}

fn answer(mut peer: TcpStream, requests: usize, answered: &AtomicUsize, tell: &Sender<()>) {
    let mut buffer = [0; 4096];
    while let Ok(read) = peer.read(&mut buffer)
        && read > 0
    {
        if answered.fetch_add(1, Ordering::Relaxed) >= requests {
            tell.send(()).ok();
            continue;
        }
        let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
        let length = request.split(['/', ' ']).nth(3).unwrap_or_default();
        let length: usize = length.parse().unwrap_or(0);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let body = "x".repeat(length);
        peer.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_does_not_end_is_an_error_and_the_block_ends() {
    for load in [
        Load::Closed { connections: 2 },
        Load::Open {
            per_second: 500.0,
            connections: 2,
        },
    ] {
        let (address, told) = silent_after(60);
        let pki = Pki::new();
        let mut endpoint = (*endpoint("a", address, &pki, &[Group::X25519])).clone();
        endpoint.tls = None;
        let case = Case {
            load,
            ..case(Scenario::H1Keepalive)
        };
        let target = target(Role::Subject, Arc::new(endpoint));
        let mut crew = Crew::new(&Arc::new(case), target, &mut Rng::new(1));
        crew.patience = Duration::from_millis(300);
        crew.prepare().await.unwrap();
        let begun = Instant::now();
        let worked = crew.work(Duration::from_millis(400)).await;
        assert!(begun.elapsed() < Duration::from_secs(6), "{load:?}");
        if let Load::Closed { .. } = load {
            let (sample, _) = worked.unwrap();
            assert_eq!((sample.ops, sample.errors), (60, 2));
        } else {
            // Two failed; what was due behind them was not served.
            let said = worked.unwrap_err().to_string();
            assert!(said.contains("2 of 200 operations failed"), "{said}");
            assert!(said.contains("138 of 200 operations were due"), "{said}");
        }
        told.try_recv().unwrap();
    }
}

#[test]
fn one_signal_ends_a_block_that_a_silent_target_holds_up() {
    let folder = tempfile::tempdir().unwrap();
    let (address, told) = silent_after(200);
    let plan = folder.path().join("plan.toml");
    let of = |name: &str, role: &str| {
        format!("[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"http://{address}\"\n")
    };
    let text = format!(
        "name = \"test\"\nblock = \"20ms\"\nwarmup = \"5ms\"\n{}{}[[case]]\nscenario = \"h1-keepalive\"\n",
        of("a", "subject"),
        of("b", "baseline")
    );
    std::fs::write(&plan, text).unwrap();
    let mut child = Command::new(BIN)
        .args(["run", "plan.toml", "--out", "out"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    told.recv_timeout(Duration::from_secs(20)).unwrap();
    let begun = Instant::now();
    signal(&child, rustix::process::Signal::TERM);
    assert_eq!(code_of(&mut child), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(12));
}
