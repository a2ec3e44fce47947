//! `hybridge scan` under limits of its process: they are named, are no fault of the endpoints, and end no scan.

use std::net::TcpListener;
use std::thread;

use tokio::process::Command;

use crate::inventory::EMPTY;
use crate::support::process::Process;
use crate::support::{Setup, answering, within};

/// A scan that a shell starts under `limits`.
fn under(limits: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{limits} exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_hybridge"), "scan"]);
    command.kill_on_drop(true);
    command
}

/// The tool blamed endpoints for descriptors that it did not have itself.
#[tokio::test(flavor = "multi_thread")]
async fn descriptors_that_are_missing_are_no_fault_of_endpoints() {
    let silent = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    // It keeps every connection and says nothing.
    thread::spawn(move || silent.incoming().flatten().collect::<Vec<_>>());
    let endpoints: Vec<String> = (1..=40)
        .map(|last| format!("127.0.0.{last}:{port}"))
        .collect();
    let scan = |limits: &str| {
        let mut command = under(limits);
        command
            .args(["--parallel", "40", "--timeout", "1"])
            .args(&endpoints);
        command.output()
    };
    let few = within(scan("ulimit -n 24 &&")).await.unwrap();
    let said = String::from_utf8_lossy(&few.stderr);
    assert!(
        said.contains("no file descriptor was left for a connection"),
        "{said}"
    );
    assert_eq!((few.status.code(), few.stdout.len()), (Some(1), 0));
    let raised = within(scan("ulimit -Sn 24 && ulimit -Hn 512 &&"))
        .await
        .unwrap();
    let report = String::from_utf8_lossy(&raised.stdout);
    assert!(report.contains("40 endpoints, 0 examined"), "{report}");
    let said = String::from_utf8_lossy(&raised.stderr);
    assert!(!said.contains("no file descriptor was left"), "{said}");
}

/// It was a panic, and no report.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_refused_threads_goes_on_with_fewer() {
    let endpoints: Vec<String> = (1..=250).map(|last| format!("127.0.0.{last}:1")).collect();
    // Stacks of 1 GiB: those of 250 threads do not fit.
    let mut command = under("ulimit -v 40000000 && RUST_MIN_STACK=1073741824");
    command.args(["--parallel", "250"]).args(&endpoints);
    let output = within(command.output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("of 250 threads could be started ("), "{said}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("250 endpoints, 0 examined"), "{report}");
    assert_eq!(output.status.code(), Some(1));
}

/// Handshakes need memory beside the stacks of all threads: an allocation that failed was an abort.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_in_little_address_space_takes_few_threads() {
    let sidecar = Process::start(&Setup::in_front_of(answering(EMPTY).await)).await;
    let (to, every) = (
        sidecar.address,
        tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap(),
    );
    let port = every.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = every.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut peer, &mut server).await
            });
        }
    });
    let endpoints = (1..=90).map(|last| format!("127.0.0.{last}:{port}"));
    let endpoints: Vec<_> = endpoints.collect();
    for limit in ["150000", "300000", "800000"] {
        let mut command = under(&format!("ulimit -v {limit} &&"));
        command.args(["--parallel", "90"]).args(&endpoints);
        let output = within(command.output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains(" of 90 endpoints at a time, because"),
            "{said}"
        );
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(
            report.contains("90 endpoints, 90 examined"),
            "{said}{report}"
        );
        assert_eq!(output.status.code(), Some(0));
    }
}
