#![allow(clippy::panic, clippy::unwrap_used)]
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::metrics::{Code, Metrics};
use crate::traces::Sample;
use crate::traces::span::{Facts, Span, SpanEnd};

/// A log whose first line panics.
struct Panicking(AtomicBool);

impl Subscriber for Panicking {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let ours = event.metadata().target().contains("traces");
        assert!(!ours || self.0.swap(true, Ordering::Relaxed), "as asked");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn ended() -> Ended {
    Ended {
        span: Span::root(None, |_| true).unwrap(),
        facts: Arc::new(Facts {
            listener: "a".to_owned(),
            protocol: "http",
            group: "X25519",
            class: "classical",
            suite: "TLS13_AES_128_GCM_SHA256",
            resumed: false,
            port: None,
        }),
        took: Duration::ZERO,
        end: SpanEnd::Request(Code::Http(200)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_what_was_being_sent_and_the_export_goes_on() {
    let metrics = Metrics::new().unwrap();
    let spans = metrics.spans();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = nobody.local_addr().unwrap();
    drop(nobody);
    let settings = Settings {
        endpoint: format!("http://{at}").parse().unwrap(),
        tls: None,
        service_name: "a".to_owned(),
        sample: Sample::parse("1").unwrap(),
        queue: 8,
        timeout: Duration::from_secs(1),
    };
    let (sender, queue) = mpsc::channel(8);
    let (flushes, asked) = mpsc::unbounded_channel();
    let run = Run {
        client: Client::new(&settings.endpoint, None, &spans, &Arc::default()),
        settings,
        metrics: spans.clone(),
        queue,
        worthwhile: 4,
        batch: Vec::new(),
        attempts: 0,
        warnings: LogLimit::new(WARNINGS, 1),
    };
    let _guard = tracing::subscriber::set_default(Panicking(AtomicBool::new(false)));
    let wake = Notify::new();
    let running = run.despite_panics(asked, &wake);
    let using = async {
        sender.try_send(ended()).ok().unwrap();
        while spans.panics.get() == 0 {
            sleep(INTERVAL).await;
        }
        assert_eq!(spans.internal.get(), 1);
        sender.try_send(ended()).ok().unwrap();
        sender.try_send(ended()).ok().unwrap();
        while spans.unreachable.get() == 0 {
            sleep(INTERVAL).await;
        }
        drop(flushes);
    };
    tokio::join!(running, using);
    assert_eq!(spans.unreachable.get(), 2);
    assert_eq!(spans.internal.get(), 1);
    let page = String::from_utf8(metrics.render().unwrap()).unwrap();
    let line = "\nhybridge_panics_total{task=\"traces\"} 1\n";
    assert!(page.contains(line), "{page}");
}
