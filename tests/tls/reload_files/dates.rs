//! A pair for an egress whose dates are against it: said once, however often it is looked at.

use std::sync::atomic::AtomicUsize;

use hybridge::tls::client::{CaSource, ClientTls, Settings};
use hybridge::tls::identity::Rules;
use hybridge::tls::policy::{Mode, TlsPolicy};
use hybridge::tls::reload::{FileObserver, FileReloader, Source, Watched};

use super::*;

/// Twenty looks a second, none at half a pair.
const LOOKS: ReloadSettings = ReloadSettings {
    recheck: Duration::from_millis(50),
    ..BRIEF
};

/// How many reloads failed, and how many brought something new.
#[derive(Default)]
struct Results([AtomicUsize; 2]);

impl Results {
    fn read(&self) -> [usize; 2] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl FileObserver for Results {
    fn panicked(&self) {}

    fn reloaded(&self, ok: bool) {
        self.0[usize::from(ok)].fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_pair_of_an_egress_that_has_ended_is_said_once_for_each_change() {
    let (pki, dir) = (TestPki::new(Algorithm::EcdsaP256), TempDir::new().unwrap());
    let ca = dir.path().join("ca.crt");
    fs::write(&ca, pki.ca_pem()).unwrap();
    let files = pki.leaf(&["first.test"]).write_to(dir.path());
    let settings = Settings {
        policy: TlsPolicy::new(Mode::HybridRequired, None, None).unwrap(),
        ca: CaSource::File(ca),
        peer_ids: Rules::default(),
        pair: Some((files.cert.clone(), files.key.clone())),
        alpn: Vec::new(),
        resumption: false,
        handshake_timeout: DEADLINE,
    };
    let client = Arc::new(ClientTls::load(&settings).unwrap());
    let watched = Watched::of_process(Source::Client(Arc::clone(&client)));
    let results = Arc::new(Results::default());
    let (reloader, _ask) = FileReloader::new(vec![watched], LOOKS, Arc::clone(&results) as _);
    let running = tokio::spawn(reloader.run());
    // Messages say what the time is, in seconds, and looks are made twenty times in one.
    let several_looks = || sleep(Duration::from_millis(1_200));
    for (changes, pair) in [
        pki.expired(&["second.test"]),
        pki.not_yet_valid(&["third.test"]),
        pki.expired(&["fourth.test"]),
    ]
    .into_iter()
    .enumerate()
    {
        pair.write_to(dir.path());
        until(|| results.read() == [changes + 1, 0]).await;
        several_looks().await;
        assert_eq!(results.read(), [changes + 1, 0]);
    }
    assert!(client.last_error().unwrap().contains("expired on"));
    pki.leaf(&["fifth.test"]).write_to(dir.path());
    until(|| client.last_error().is_none()).await;
    assert_eq!(results.read(), [3, 1]);
    running.abort();
}
