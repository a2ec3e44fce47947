//! Profiles: a configuration that keeps to one, and thirteen that do not, each in one way. What a profile
//! in the file refuses, `check --profile` lists.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use hybridge::certgen::Algorithm;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::pki::TestPki;

/// A folder with certificates of several kinds, and a configuration made from lines.
struct Case {
    dir: TempDir,
}

const GOOD: [(&str, &str); 5] = [
    ("policy", "'pq-required'"),
    ("groups", "['MLKEM1024']"),
    ("cipher-suites", "['TLS_AES_256_GCM_SHA384']"),
    ("tickets", "0"),
    ("pair", "strict"),
];

impl Case {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let write = |name: &str, pki: &TestPki| {
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            pki.write_to(&folder);
            folder
        };
        write("strict", &TestPki::new(Algorithm::MlDsa87));
        write("ml-dsa-65", &TestPki::new(Algorithm::MlDsa65));
        write("p256", &TestPki::new(Algorithm::EcdsaP256));
        let p384 = TestPki::new(Algorithm::EcdsaP384);
        write("p384", &p384);
        let mixed = p384.with_keys(Algorithm::MlDsa87);
        write("mixed", &mixed);
        let read = |folder: &str| fs::read_to_string(dir.path().join(folder).join("ca.crt"));
        let both = read("strict").unwrap() + &read("p256").unwrap();
        fs::write(dir.path().join("both.crt"), both).unwrap();
        Self { dir }
    }

    /// The good configuration with these lines instead of, or beside, those of the same key.
    fn write(&self, changes: &[(&str, &str)], upstream: &str) -> String {
        let mut lines: Vec<(&str, &str)> = GOOD.to_vec();
        for (key, value) in changes {
            match lines.iter_mut().find(|(known, _)| known == key) {
                Some(line) => line.1 = value,
                None => lines.push((key, value)),
            }
        }
        let mut text = format!(
            "[[listener]]\nname = 'chat'\nlisten = '127.0.0.1:0'\nupstream = '{upstream}'\n"
        );
        if upstream.starts_with("10.") {
            text += "unsafe-remote-upstream = true\n";
        }
        text += "[listener.tls]\n";
        let mut further = String::new();
        for (key, value) in lines {
            let pair = |name: &str| format!("cert = '{name}/tls.crt'\nkey = '{name}/tls.key'\n");
            match key {
                "pair" => text += &pair(value),
                "further" => further = format!("[[listener.tls.certificate]]\n{}", pair(value)),
                _ if value.is_empty() => {}
                _ => text.extend([key, " = ", value, "\n"]),
            }
        }
        let path = self.dir.path().join("hybridge.toml");
        fs::write(&path, text + &further).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn check(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hybridge"))
            .arg("check")
            .args(arguments)
            .env_clear()
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// The requirements that are not met, and the exit code.
    fn failed(&self, file: &str, profile: &str) -> (Vec<String>, Option<i32>) {
        let output = self.check(&[file, "--profile", profile, "--format", "json"]);
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{file}: {output:?}"));
        assert_eq!(report["schema"], "hybridge-check/1");
        let rows = report["requirements"].as_array().unwrap();
        assert!(rows.len() > 7, "{report}");
        for row in rows {
            for field in ["listener", "id", "source", "wanted", "found"] {
                assert!(!row[field].as_str().unwrap().is_empty(), "{row}");
            }
        }
        let failed = rows.iter().filter(|row| row["result"] == "fail");
        let failed = failed.map(|row| row["id"].as_str().unwrap().to_owned());
        (failed.collect(), output.status.code())
    }

    /// These requirements fail, and the profile in the file refuses by the first of them.
    fn is_listed_and_refused(&self, changes: &[(&str, &str)], upstream: &str, expected: &str) {
        let file = self.write(changes, upstream);
        let (failed, code) = self.failed(&file, "cnsa-2.0");
        assert_eq!(failed.join(" "), expected, "{changes:?}");
        assert_eq!(code, Some(1), "{changes:?}");
        let held = [changes, &[("profile", "'cnsa-2.0'")]].concat();
        let refused = self.check(&[&self.write(&held, upstream)]);
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(64), "{changes:?}: {message}");
        let rule = expected.split(' ').next().unwrap();
        let named = message.contains("`cnsa-2.0`") && message.contains(rule);
        assert!(named, "{message}");
    }
}

const LOCAL: &str = "127.0.0.1:9";

#[test]
fn a_configuration_that_keeps_to_the_profile_passes_in_every_format() {
    let case = Case::new();
    let file = case.write(&[], LOCAL);
    assert_eq!(case.failed(&file, "cnsa-2.0"), (vec![], Some(0)));
    let text = case.check(&[&file, "--profile", "cnsa-2.0"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("Everything here uses the algorithms of `cnsa-2.0`."),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("compliant"), "{text}");
    let bill = case.check(&[&file, "--profile", "cnsa-2.0", "--format", "cyclonedx"]);
    let bill: Value = serde_json::from_slice(&bill.stdout).unwrap();
    assert_eq!(bill["specVersion"], "1.7");
    let components = bill["components"].as_array().unwrap();
    let names: Vec<&str> = components
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for name in ["MLKEM1024", "ML-DSA-87", "TLS 1.3"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn a_bill_has_every_side_under_its_own_scheme() {
    let case = Case::new();
    let file = case.write(&[], LOCAL);
    let more = "[[listener]]
name = 'raw'
listen = '127.0.0.1:0'
upstream = '127.0.0.1:9'
protocol = 'tcp'
tls.cert = 'strict/tls.crt'
tls.key = 'strict/tls.key'
[[egress]]
name = 'out'
listen = '127.0.0.1:0'
target = 'localhost:9443'
protocol = 'tcp'
tls = { ca = 'strict/ca.crt', cert = 'p384/tls.crt', key = 'p384/tls.key' }
";
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + more).unwrap();
    let bill = case.check(&[&file, "--profile", "cnsa-2.0", "--format", "cyclonedx"]);
    let bill: Value = serde_json::from_slice(&bill.stdout).unwrap();
    let services = bill["services"].as_array().unwrap();
    let endpoints = services.iter().map(|service| {
        let name = service["name"].as_str().unwrap();
        format!("{name} {}", service["endpoints"][0].as_str().unwrap())
    });
    assert_eq!(
        endpoints.collect::<Vec<_>>(),
        [
            "chat https://127.0.0.1:0",
            "raw tls://127.0.0.1:0",
            "out tls://localhost:9443"
        ]
    );
    let role = services[2]["properties"].as_array().unwrap();
    assert_eq!(role[0]["name"], "hybridge:role");
    assert_eq!(role[0]["value"], "egress");
    // What it shows of itself is an asset too.
    let text = bill.to_string();
    assert!(text.contains("P-384"), "{text}");
}

/// `profile` is enough: it sets the rest.
#[test]
fn a_profile_sets_what_is_not_written() {
    let case = Case::new();
    let unset = [
        ("policy", ""),
        ("groups", ""),
        ("cipher-suites", ""),
        ("tickets", ""),
    ];
    let file = case.write(&[&unset[..], &[("profile", "'cnsa-2.0'")]].concat(), LOCAL);
    assert_eq!(case.failed(&file, "cnsa-2.0"), (vec![], Some(0)));
    let asking = [
        ("profile", "'cnsa-2.0'"),
        ("client-auth", "'required'"),
        ("client-ca", "'strict/ca.crt'"),
        ("allow-any", "true"),
    ];
    let file = case.write(&[&unset[..], &asking].concat(), LOCAL);
    assert_eq!(case.failed(&file, "cnsa-2.0"), (vec![], Some(0)));
    // What it leaves alone stays: the further certificates of a file.
    let several = [("profile", "'cnsa-2.0'"), ("further", "strict")];
    let file = case.write(&[&unset[..], &several].concat(), LOCAL);
    let printed = String::from_utf8(case.check(&[&file]).stdout).unwrap();
    assert!(
        printed.contains("[[listener.tls.certificate]]"),
        "{printed}"
    );
    let transition = [("profile", "'cnsa-2.0-transition'"), ("pair", "p384")];
    let file = case.write(&[&unset[..], &transition].concat(), LOCAL);
    assert_eq!(case.failed(&file, "cnsa-2.0-transition"), (vec![], Some(0)));
    let (failed, code) = case.failed(&file, "cnsa-2.0");
    let expected = ["key-exchange", "server-key", "server-chain", "resumption"];
    assert_eq!(
        (failed, code),
        (expected.map(str::to_owned).into(), Some(1))
    );
    // The same without a profile: the flag checks, it sets nothing.
    let file = case.write(&[&unset[..], &[("pair", "p384")]].concat(), LOCAL);
    let (failed, code) = case.failed(&file, "cnsa-2.0-transition");
    assert_eq!(
        (failed, code),
        (
            ["key-exchange", "cipher-suite"].map(str::to_owned).into(),
            Some(1)
        )
    );
}

/// What `run` would refuse is no finding, and what it would warn of is said.
#[test]
fn what_cannot_run_is_refused_before_it_is_checked() {
    let case = Case::new();
    let profile = ["--profile", "cnsa-2.0-transition"];
    let file = case.write(&[], LOCAL);
    let refused = |arguments: &[&str], what: &str| {
        let output = case.check(&[&profile[..], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(what), "{said}");
        assert!(output.stdout.is_empty(), "{said}");
    };
    let keys = ["--signature", "require", "--signature-keys", "none.jwks"];
    refused(&[&[file.as_str()], &keys[..]].concat(), "none.jwks");
    let egress = "[[egress]]\nname = 'out'\nlisten = '127.0.0.1:0'\ntarget = 'localhost:9'\n";
    let text = fs::read_to_string(&file).unwrap() + egress + "tls.ca = 'none.crt'\n";
    fs::write(&file, text).unwrap();
    refused(&[&file], "none.crt");
    let nothing = case.check(&[&file, "--profile", "off", "--format", "json"]);
    let said = String::from_utf8(nothing.stderr).unwrap();
    assert_eq!(nothing.status.code(), Some(64), "{said}");
    assert!(said.contains("--profile off has none"), "{said}");
    let file = case.write(&[("further", "strict")], LOCAL);
    let (key, mode) = (case.dir.path().join("strict/tls.key"), 0o644);
    fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
    let warned = case.check(&[&[file.as_str()], &profile[..]].concat());
    let warned = String::from_utf8(warned.stderr).unwrap();
    assert!(
        warned.contains("everybody on this machine may read it"),
        "{warned}"
    );
}

#[test]
fn each_way_not_to_keep_to_it_is_named_and_refused() {
    let case = Case::new();
    let asking = |ca, signatures| {
        vec![
            ("client-auth", "'required'"),
            ("client-ca", ca),
            ("allow-any", "true"),
            ("signatures", signatures),
        ]
    };
    // What is written, the upstream, what fails, and the rule by which the profile in the file refuses it.
    let broken = [
        (
            vec![("groups", "['MLKEM1024', 'SecP384r1MLKEM1024']")],
            LOCAL,
            "key-exchange",
        ),
        (
            vec![
                ("groups", "['SecP384r1MLKEM1024']"),
                ("policy", "'hybrid-required'"),
            ],
            LOCAL,
            "key-exchange",
        ),
        (
            vec![("groups", ""), ("policy", "'hybrid-preferred'")],
            LOCAL,
            "key-exchange",
        ),
        (
            vec![("groups", "['X25519']"), ("policy", "'classical-only'")],
            LOCAL,
            "key-exchange",
        ),
        (
            vec![(
                "cipher-suites",
                "['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256']",
            )],
            LOCAL,
            "cipher-suite",
        ),
        (
            vec![("cipher-suites", "['TLS_CHACHA20_POLY1305_SHA256']")],
            LOCAL,
            "cipher-suite",
        ),
        (vec![("tickets", "1")], LOCAL, "resumption"),
        (vec![("pair", "p256")], LOCAL, "server-key server-chain"),
        (
            vec![("pair", "ml-dsa-65")],
            LOCAL,
            "server-key server-chain",
        ),
        (vec![("pair", "mixed")], LOCAL, "server-chain"),
        (vec![("further", "p384")], LOCAL, "server-key server-chain"),
        (
            asking("'strict/ca.crt'", "'pq-preferred'"),
            LOCAL,
            "client-certificates",
        ),
        (
            asking("'both.crt'", "'pq-required'"),
            LOCAL,
            "client-certificates",
        ),
        (vec![], "10.0.0.9:8000", "upstream"),
    ];
    for (changes, upstream, expected) in broken {
        case.is_listed_and_refused(&changes, upstream, expected);
    }
}

/// Without the profile in the file `pq-required` takes every size of ML-DSA of a client.
#[test]
fn clients_are_held_to_the_profile_by_the_listener_alone() {
    let case = Case::new();
    let asking = [
        ("client-auth", "'required'"),
        ("client-ca", "'strict/ca.crt'"),
        ("allow-any", "true"),
        ("signatures", "'pq-required'"),
    ];
    let file = case.write(&asking, LOCAL);
    let expected = vec!["client-certificates".to_owned()];
    assert_eq!(case.failed(&file, "cnsa-2.0"), (expected, Some(1)));
    let held = [&asking[..], &[("profile", "'cnsa-2.0'")]].concat();
    let file = case.write(&held, LOCAL);
    assert_eq!(case.failed(&file, "cnsa-2.0"), (vec![], Some(0)));
}

#[test]
fn the_transition_takes_p384_and_no_other_curve() {
    let case = Case::new();
    let policy = ("policy", "'hybrid-required'");
    let groups = ("groups", "['SecP384r1MLKEM1024']");
    let file = case.write(&[policy, groups, ("pair", "p384"), ("tickets", "1")], LOCAL);
    assert_eq!(case.failed(&file, "cnsa-2.0-transition"), (vec![], Some(0)));
    let file = case.write(&[policy, groups, ("pair", "p256")], LOCAL);
    let (failed, code) = case.failed(&file, "cnsa-2.0-transition");
    assert_eq!(
        (failed.join(" ").as_str(), code),
        ("server-key server-chain", Some(1))
    );
}

#[test]
fn a_profile_nobody_knows_and_a_format_without_one_are_usage() {
    let case = Case::new();
    let file = case.write(&[], LOCAL);
    let unknown = case.check(&[&file, "--profile", "cnsa-3.0"]);
    assert_eq!(unknown.status.code(), Some(64));
    let message = String::from_utf8(unknown.stderr).unwrap();
    assert!(message.contains("cnsa-2.0-transition"), "{message}");
    let alone = case.check(&[&file, "--format", "json"]);
    assert_eq!(alone.status.code(), Some(64));
    assert!(Path::new(&file).exists());
}
