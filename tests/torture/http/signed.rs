//! Clients that open many streams, give no window, and are answered by signed responses: what that costs, and
//! whom. A signed head is larger than others, and a short body is read before its head goes out.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::frames::{self, DATA, END_STREAM, HEADERS};
use super::memory::Cgroup;
use super::windows::{A_CONNECTION, app, stalled};
use crate::support::program::Program;
use crate::support::within;

/// As much as is read before the head goes out.
const SIZE: usize = 65_536;

/// Status and length of a response over HTTP/2 to a client that takes what it gets.
async fn asks(program: &Program) -> (u16, usize) {
    let mut stream = program.connect(&["h2"]).await;
    frames::begin(&mut stream, 1 << 30, 1 << 30).await;
    stream.write_all(&frames::get(1, "/")).await.unwrap();
    let (mut status, mut got) = (0, 0);
    within(async {
        loop {
            let next = frames::next(&mut stream).await.unwrap().unwrap();
            match next.kind {
                HEADERS if status == 0 => status = next.status(),
                DATA => got += next.payload.len(),
                _ => {}
            }
            if matches!(next.kind, HEADERS | DATA) && next.flags & END_STREAM != 0 {
                return;
            }
        }
    })
    .await;
    (status, got)
}

#[tokio::test(flavor = "multi_thread")]
async fn short_signed_bodies_count_among_what_clients_have_not_taken() {
    const CONNECTIONS: u64 = 6;
    let program = Program::start_signing(app(SIZE).await, "/dev/null".as_ref()).await;
    assert_eq!(asks(&program).await, (200, SIZE));
    let before = program.memory("VmRSS");
    let mut held = Vec::new();
    for number in 1..=CONNECTIONS {
        held.push(stalled(&program, 0).await);
        sleep(Duration::from_millis(300)).await;
        let grown = program.memory("VmRSS").saturating_sub(before);
        println!("{number} connections: {} KiB more", grown / 1024);
    }
    let grown = program.memory("VmHWM").saturating_sub(before);
    let most = CONNECTIONS * A_CONNECTION;
    assert!(grown < most, "{grown} of {most} bytes");
    assert_eq!(asks(&program).await, (200, SIZE));
}

/// In 128 MiB there is 1 MiB for large heads; 250 signed ones would take twice as much if they kept it.
#[tokio::test(flavor = "multi_thread")]
async fn signed_heads_that_were_written_leave_room_for_those_of_others() {
    let cgroup = Cgroup::new("signed");
    if cgroup.is_none() {
        println!("no memory cgroup can be made here, the limit is the machine's");
    }
    let procs = cgroup.as_ref().map(Cgroup::procs);
    let procs = procs.unwrap_or_else(|| "/dev/null".into());
    let program = Program::start_signing(app(SIZE).await, &procs).await;
    let _held = [stalled(&program, 0).await, stalled(&program, 0).await];
    for _ in 0..5 {
        assert_eq!(asks(&program).await, (200, SIZE));
    }
    drop(program);
    drop(cgroup);
}
