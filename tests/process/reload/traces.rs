//! Where spans go changes; listeners and their connections stay.

use super::*;
use crate::support::collector::{Collector, Manner};
use crate::support::http::nobody;

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

/// What waits for a collector that nobody uses any more is sent again, and what does not arrive is counted.
#[tokio::test(flavor = "multi_thread")]
async fn spans_of_a_collector_that_is_replaced_arrive_or_are_counted() {
    let stage = Stage::new().await;
    let ((_held, down), busy) = (nobody(), Collector::new().await);
    busy.behaves(Manner {
        status: Some(503),
        ..Manner::default()
    });
    let process = Process::start(&Setup::in_front_of(stage.address).process(DRAIN)).await;
    for (number, endpoint) in [(2, down), (4, busy.address)] {
        let traces = format!("[traces]\nendpoint = \"http://{endpoint}\"\ntimeout = \"2s\"\n");
        for (generation_of, traces) in [(number, traces.as_str()), (number + 1, "")] {
            let setup = Setup::in_front_of(stage.address);
            let setup = setup.process(&format!("{DRAIN}\n{traces}"));
            reload(&process, &setup.toml(&process.dir));
            generation(&process, generation_of).await;
            let mut client = client(&process, process.address).await;
            for _ in 0..5 {
                answered(&mut client).await;
            }
            drop(client);
            let open = [("listener", "test")];
            process
                .metric_is("hybridge_connections_open", &open, 0.0)
                .await;
        }
    }
    process.logs("it has no time: status 503").await;
    busy.behaves(Manner::default());
    busy.has(5).await;
    let unreachable = [("reason", "unreachable")];
    process
        .metric_reaches("hybridge_spans_dropped_total", &unreachable, 5.0)
        .await;
    process
        .metric_reaches("hybridge_spans_exported_total", &[], 5.0)
        .await;
}
