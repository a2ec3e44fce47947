//! Several revocation lists in one file: of one CA the newest counts, and each counts for the CA that signed it,
//! though another has its name.

use std::fs;

use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use rcgen::{CrlDistributionPoint, SanType, SerialNumber};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, client};
use crate::support::{Setup, Sidecar, answering};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const CERTIFICATE_REVOKED: u8 = 44;
const UNKNOWN_CA: u8 = 48;

fn days(days: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(days)
}

/// A listener with the CAs and lists of these files.
struct Gate {
    dir: TempDir,
    tls: String,
}

impl Gate {
    fn new(cas: &[&TestPki], lists: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pems: Vec<_> = cas.iter().map(|ca| ca.ca_pem()).collect();
        fs::write(dir.path().join("clients.crt"), pems.concat()).unwrap();
        fs::write(dir.path().join("clients.crl"), lists.concat()).unwrap();
        let at = dir.path().display();
        let tls = format!(
            "client-auth = \"required\"\nclient-ca = \"{at}/clients.crt\"\nclient-crl = \"{at}/clients.crl\"\nallow-any = true"
        );
        Self { dir, tls }
    }

    async fn start(&self) -> Sidecar {
        let setup = Setup::in_front_of(answering(ANSWER).await);
        setup.tls(&self.tls).start()
    }

    /// What `check` warns of in this file.
    fn warnings(&self) -> Vec<String> {
        TestPki::new(Algorithm::EcdsaP256)
            .leaf(&["localhost"])
            .write_to(self.dir.path());
        let setup = Setup::in_front_of("127.0.0.1:1").tls(&self.tls);
        let config = Config::parse("test.toml", &setup.toml(&self.dir)).unwrap();
        let (_, warnings) = hybridge::run::describe_certificates(&config).unwrap();
        let of_lists = warnings.into_iter();
        of_lists
            .filter(|warning| warning.contains("client-crl"))
            .collect()
    }
}

pub(crate) fn numbered(pki: &TestPki, names: &[SanType], serial: u8) -> Pair {
    let mut params = client(names);
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    pki.issue(&params)
}

pub(crate) async fn try_with(sidecar: &Sidecar, pair: &Pair) -> Result<(), Option<u8>> {
    let client = Client::new().presenting(&pair.cert, &pair.key);
    let connected = client.connect(sidecar.address).await.unwrap();
    connected.exchange(REQUEST).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_lists_of_one_ca_the_newer_counts_in_either_order() {
    let ca = TestPki::new(Algorithm::EcdsaP256);
    let new = ca.revocation_list(&[7], days(2));
    let older = [
        ca.revocation_list(&[8], days(1)),
        // Out of date, it would refuse every client.
        ca.revocation_list(&[8], days(-1)),
    ];
    for old in &older {
        for lists in [[old, &new], [&new, old]] {
            let gate = Gate::new(&[&ca], &lists.map(String::as_str));
            let warnings = gate.warnings();
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains("does not count, because a newer one replaces it"));
            let sidecar = gate.start().await;
            let refused = try_with(&sidecar, &numbered(&ca, &[], 7)).await;
            assert_eq!(refused, Err(Some(CERTIFICATE_REVOKED)));
            assert_eq!(try_with(&sidecar, &numbered(&ca, &[], 8)).await, Ok(()));
            let next = "hybridge_crl_next_update_timestamp_seconds";
            let next = sidecar.metric(next, &[("listener", "test")]).await;
            assert!(next > days(1).unix_timestamp() as f64, "{next}");
        }
    }
}

/// As after a CA was renewed with a new key.
#[tokio::test(flavor = "multi_thread")]
async fn cas_of_one_name_have_lists_of_their_own() {
    let [old, new] = [(); 2].map(|()| TestPki::new(Algorithm::EcdsaP256));
    let lists = [
        old.revocation_list(&[7], days(1)),
        new.revocation_list(&[8], days(1)),
    ];
    for cas in [[&old, &new], [&new, &old]] {
        let gate = Gate::new(&cas, &[&lists[0], &lists[1]]);
        assert_eq!(gate.warnings(), Vec::<String>::new());
        let sidecar = gate.start().await;
        for (ca, serial, expected) in [
            (&old, 7, Err(Some(CERTIFICATE_REVOKED))),
            (&old, 8, Ok(())),
            (&new, 7, Ok(())),
            (&new, 8, Err(Some(CERTIFICATE_REVOKED))),
        ] {
            assert_eq!(
                try_with(&sidecar, &numbered(ca, &[], serial)).await,
                expected
            );
        }
    }
}

/// Its name is equal by RFC 5280, section 7.1; the verifier compares bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_its_cas_name_in_another_string_type_counts_for_nobody_and_is_named() {
    let ca = TestPki::new(Algorithm::EcdsaP256);
    let otherwise = ca.in_printable_string();
    let [good, misnamed] = [&ca, &otherwise].map(|ca| ca.revocation_list(&[7], days(1)));
    let gate = Gate::new(&[&ca], &[&misnamed]);
    let warnings = gate.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (of_list, of_ca) = (
        "does not count for one of the CAs: it writes the name in other bytes than the certificate of the CA that signed it",
        "no revocation list there counts for `CN=hybridge test CA` of client-ca",
    );
    assert!(warnings[0].contains(of_list), "{warnings:?}");
    assert!(warnings[1].contains(of_ca), "{warnings:?}");
    let sidecar = gate.start().await;
    let refused = try_with(&sidecar, &numbered(&ca, &[], 8)).await;
    assert_eq!(refused, Err(Some(UNKNOWN_CA)));

    let warnings = Gate::new(&[&ca], &[&good, &misnamed]).warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(of_list), "{warnings:?}");
    let both = Gate::new(&[&ca, &otherwise], &[&good, &misnamed]);
    assert_eq!(both.warnings(), Vec::<String>::new());
    // A CA that stands twice, under each name: one list is one for one of them.
    let warnings = Gate::new(&[&ca, &otherwise], &[&good]).warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains(of_list), "{warnings:?}");
    assert!(warnings[1].contains(of_ca), "{warnings:?}");
}

/// A CA without a list, whether it has another's name or not, lets nobody in, and `check` says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_clients_of_a_ca_without_a_list_are_refused_with_a_warning() {
    let [with, without] = [(); 2].map(|()| TestPki::new(Algorithm::EcdsaP256));
    let list = with.revocation_list(&[7], days(1));
    for cas in [&[&with, &without][..], &[&without, &with], &[&without]] {
        let gate = Gate::new(cas, &[&list]);
        let warnings = gate.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("no revocation list there counts for `CN=hybridge test CA`"),
            "{warnings:?}"
        );
        let sidecar = gate.start().await;
        let refused = try_with(&sidecar, &numbered(&without, &[], 8)).await;
        assert_eq!(refused, Err(Some(UNKNOWN_CA)));
        if cas.len() > 1 {
            assert_eq!(try_with(&sidecar, &numbered(&with, &[], 8)).await, Ok(()));
            let refused = try_with(&sidecar, &numbered(&with, &[], 7)).await;
            assert_eq!(refused, Err(Some(CERTIFICATE_REVOKED)));
        }
    }
}

/// Lists about the certificates of one distribution point each, beside one about all (RFC 5280 §6.3.3): a certificate that
/// names a point is looked for in the list of that point, and one that names none in every list of its issuer.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_several_distribution_points_all_count() {
    let ca = TestPki::new(Algorithm::EcdsaP256);
    let points = ["http://a.test/1.crl", "http://a.test/2.crl"];
    let one = |until| ca.revocation_list_at(points[0], &[1, 9], days(until));
    let two = |until| ca.revocation_list_at(points[1], &[2], days(until));
    let all = |until| ca.revocation_list(&[3], days(until));
    let naming = |point: usize, serial| {
        let mut params = client(&[]);
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        params.crl_distribution_points = vec![CrlDistributionPoint {
            uris: vec![points[point].to_owned()],
        }];
        ca.issue(&params)
    };
    let revoked = Err(Some(CERTIFICATE_REVOKED));
    for lists in [
        [one(2), two(1), all(3)],
        [one(1), two(2), all(3)],
        [one(3), two(2), all(1)],
    ] {
        let gate = Gate::new(&[&ca], &lists.each_ref().map(String::as_str));
        assert_eq!(gate.warnings(), Vec::<String>::new());
        let sidecar = gate.start().await;
        for serial in [1, 2, 3, 9] {
            let refused = try_with(&sidecar, &numbered(&ca, &[], serial)).await;
            assert_eq!(refused, revoked, "{serial}");
        }
        assert_eq!(try_with(&sidecar, &numbered(&ca, &[], 8)).await, Ok(()));
        assert_eq!(try_with(&sidecar, &naming(0, 8)).await, Ok(()));
    }
    // What is out of date is not missed beside a newer one about all, but what it names stays out.
    let gate = Gate::new(&[&ca], &[&one(-1), &all(1)]);
    let sidecar = gate.start().await;
    assert_eq!(try_with(&sidecar, &numbered(&ca, &[], 8)).await, Ok(()));
    for serial in [1, 3] {
        let refused = try_with(&sidecar, &numbered(&ca, &[], serial)).await;
        assert_eq!(refused, revoked, "{serial}");
    }
    // Without one about all: the other point's list is not asked, nor need it be in date.
    let gate = Gate::new(&[&ca], &[&one(1), &two(-1)]);
    let sidecar = gate.start().await;
    for (pair, expected) in [
        (naming(0, 1), revoked),
        (naming(0, 2), Ok(())),
        (naming(1, 8), Err(Some(UNKNOWN_CA))),
        (numbered(&ca, &[], 8), Err(Some(UNKNOWN_CA))),
    ] {
        assert_eq!(try_with(&sidecar, &pair).await, expected);
    }
}
