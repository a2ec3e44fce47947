//! Sessions end with what let their clients in: a certificate, or a revocation list that was current.

use hybridge::certgen::Algorithm;
use hybridge::tls::tickets::{KeyFile, Step};
use time::{Duration, OffsetDateTime};

use crate::resumption::{Shared, UNKNOWN_CA, presenting, served};
use crate::support::eventually;
use crate::support::pki::{client, uri};

const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const CERTIFICATE_EXPIRED: u8 = 45;
/// Long enough for a few connections to a debug build on a busy machine.
const LIFE: Duration = Duration::seconds(12);

/// Resumed again and again, under newer and newer keys, it still ends when it would have ended.
#[tokio::test(flavor = "multi_thread")]
async fn no_rotation_and_no_resumption_makes_a_session_outlive_the_certificate() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let tls = shared.asking("required", "allow-any = true");
    let sidecar = shared.setup(&tls).await.start();
    let mut params = client(&[uri(BATCH)]);
    params.not_after = OffsetDateTime::now_utc() + LIFE;
    let pair = shared.clients.issue(&params);
    let mut session = served(sidecar.address, presenting(&pair))
        .await
        .unwrap()
        .session()
        .clone();
    for round in 1..=6 {
        let (mut file, _) = KeyFile::load(&shared.path("tickets")).unwrap();
        let step = file.rotate().unwrap();
        shared.write("tickets", &file.text());
        let reloads = "hybridge_credential_reloads_total";
        let reloaded = [("result", "ok")];
        sidecar
            .metric_is(reloads, &reloaded, f64::from(round))
            .await;
        let again = served(sidecar.address, presenting(&pair).resuming(&session));
        let again = again.await.unwrap();
        assert!(again.resumed, "after {step:?}");
        assert!(round != 3 && round != 6 || matches!(step, Step::Retired(_)));
        session = again.session().clone();
    }
    let ended = async || {
        let again = served(sidecar.address, presenting(&pair).resuming(&session)).await;
        let alert = again.err()?;
        assert_eq!(alert, Some(CERTIFICATE_EXPIRED));
        alert
    };
    eventually("the session to end", async || ended().await.is_some()).await;
    let now = OffsetDateTime::now_utc();
    assert!(now >= params.not_after, "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_outlives_the_revocation_list() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let next_update = OffsetDateTime::now_utc() + LIFE / 2;
    let list = |until| shared.clients.revocation_list(&[], until);
    shared.write("clients.crl", &list(next_update));
    let setup = shared.setup(&shared.revoking("allow-any = true")).await;
    let sidecar = setup.start();
    let pair = shared.batch();
    let first = served(sidecar.address, presenting(&pair)).await.unwrap();
    let again = served(sidecar.address, presenting(&pair).resuming(first.session()));
    assert!(again.await.unwrap().resumed);
    let ended = async || {
        let again = served(sidecar.address, presenting(&pair).resuming(first.session())).await;
        let alert = again.err()?;
        assert_eq!(alert, Some(UNKNOWN_CA));
        alert
    };
    eventually("the list to go out of date", async || {
        ended().await.is_some()
    })
    .await;
    let stale = [("reason", "crl_stale")];
    let failed = "hybridge_handshake_failures_total";
    sidecar.metric_reaches(failed, &stale, 1.0).await;
}
