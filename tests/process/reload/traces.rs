//! Where spans go changes; listeners and their connections stay.

use super::*;
use crate::support::collector::Collector;

async fn answered(client: &mut Client) {
    ask(client, "/").await;
    read_until(client, "done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_new_connections_go_where_the_new_settings_say() {
    let stage = Stage::new().await;
    let (first, second) = (Collector::new().await, Collector::new().await);
    let setup = |traces: &str| {
        let process = format!("{DRAIN}\n{traces}");
        Setup::in_front_of(stage.address).process(&process)
    };
    let process = Process::start(&setup(&first.section())).await;
    let mut open = client(&process, process.address).await;
    answered(&mut open).await;
    first.has(1).await;

    reload(&process, &setup(&second.section()).toml(&process.dir));
    generation(&process, 2).await;
    let mut new = client(&process, process.address).await;
    answered(&mut new).await;
    second.has(1).await;
    // The listener is the same, and so is its connection: what it began with holds.
    answered(&mut open).await;
    first.has(2).await;

    // A collector that cannot be one changes nothing.
    let broken = "[traces]\nendpoint = \"https://localhost:1\"\nca = \"gone.pem\"\n";
    reload(&process, &setup(broken).toml(&process.dir));
    process.logs("configuration not reloaded").await;
    assert!(process.log().contains("gone.pem"), "{}", process.log());
    let mut again = client(&process, process.address).await;
    answered(&mut again).await;
    second.has(2).await;

    reload(&process, &setup("").toml(&process.dir));
    generation(&process, 3).await;
    let mut last = client(&process, process.address).await;
    answered(&mut last).await;
    // Sent at the end, wherever a connection began.
    answered(&mut open).await;
    answered(&mut new).await;
    process.signal(Signal::INT);
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!((first.spans().len(), second.spans().len()), (3, 3), "{log}");
}
