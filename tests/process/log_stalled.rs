//! The reader of the log stands still: a terminal after Ctrl-S, a collector that hangs, a full disk behind the runtime.

use crate::support::http::{app, ok, read_response};
use crate::support::process::Process;
use crate::support::{Setup, within};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;

const LOST: &str = "hybridge_log_lines_lost_total";

/// Asks until more lines are lost than before; each request is a line of more than 1 KB.
async fn lose_lines(process: &Process) {
    let before = process.metric(LOST, &[]).await;
    let mut client = process.connect(&["http/1.1"]).await;
    let head = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(1000));
    for asked in 1.. {
        client.write_all(head.as_bytes()).await.unwrap();
        let response = within(read_response(&mut client, false)).await.unwrap();
        assert_eq!(response.status(), 200);
        if asked % 100 == 0 && process.metric(LOST, &[]).await > before {
            return;
        }
        assert!(asked < 10_000, "nothing is lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stands_still_stops_no_request_no_probe_and_no_signal() {
    let app = app(|_| async { ok("") }).await;
    let setup = Setup::in_front_of(app).listener("access-log = [\"path\"]");
    let drain = "[drain]\ndelay = \"0s\"\ntimeout = \"5s\"\n";
    let mut process = Process::start(&setup.process(drain)).await;
    process.read_log(false);
    lose_lines(&process).await;
    assert_eq!(process.admin("/livez").await.0, 200);

    process.read_log(true);
    process
        .logs("message=\"lines of the log were lost: the reader")
        .await;

    process.read_log(false);
    lose_lines(&process).await;
    process.signal(Signal::TERM);
    assert_eq!(process.exit_code().await, Some(0));
}
