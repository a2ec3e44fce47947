//! Every key of a plan against every scenario and every kind of target.

#![allow(clippy::unwrap_used)]
use clap::ValueEnum;

use crate::plan::Scenario;
use crate::plan::file::parse;

const CASE_KEYS: [(&str, &str); 12] = [
    ("connections", "[3]"),
    ("rate", "[50.0]"),
    ("streams", "2"),
    ("rtt", "[\"20ms\"]"),
    ("bandwidth", "[\"100Mbit\"]"),
    ("up", "\"3KiB\""),
    ("down", "\"5KiB\""),
    ("tokens", "7"),
    ("token_interval", "\"9ms\""),
    ("rounds", "3"),
    ("block", "\"9s\""),
    ("warmup", "\"7ms\""),
];
const TARGET_KEYS: [(&str, &str); 11] = [
    ("groups", "[\"X25519\"]"),
    ("expect", "\"X25519\""),
    ("ca", "\"ca.pem\""),
    ("server_name", "\"a\""),
    ("client_cert", "\"c.pem\""),
    ("client_key", "\"k.pem\""),
    ("pid", "1"),
    ("pid_file", "\"p\""),
    ("metrics", "\"http://a:1/metrics\""),
    ("listener", "\"l\""),
    ("connections", "9"),
];

fn case(scenario: Scenario, lines: &str) -> String {
    let scenario = scenario.name();
    format!("[[case]]\nscenario=\"{scenario}\"\n{lines}\n")
}

fn targets(urls: [&str; 2], lines: &str) -> String {
    let [subject, baseline] = urls.map(|url| format!("url=\"{url}\"\n{lines}\n"));
    format!(
        "[[target]]\nname=\"a\"\nrole=\"subject\"\n{subject}[[target]]\nname=\"b\"\nrole=\"baseline\"\n{baseline}"
    )
}

fn said(text: &str) -> Option<String> {
    let parsed = parse("p", &format!("name=\"p\"\n{text}"));
    parsed.err().map(|error| error.to_string())
}

/// A key that is new must be put to every scenario, or every kind of target, too.
#[test]
fn no_key_is_left_out_here() {
    for (table, known) in [
        (
            "[[case]]\n",
            CASE_KEYS
                .iter()
                .map(|key| key.0)
                .chain(["scenario"])
                .collect(),
        ),
        (
            "[[target]]\n",
            TARGET_KEYS
                .iter()
                .map(|key| key.0)
                .chain(["name", "url", "role"])
                .collect::<Vec<_>>(),
        ),
    ] {
        let others = if table.contains("case") {
            String::new()
        } else {
            case(Scenario::Mix, "")
        };
        let error = said(&format!("{table}nonsense=1\n{others}")).unwrap();
        let (_, list) = error.split_once("expected one of ").unwrap();
        let listed = list
            .split(", ")
            .map(|name| name.trim().trim_matches('`').to_owned());
        for key in listed {
            assert!(known.contains(&key.as_str()), "{table}{key}: {error}");
        }
    }
}

#[test]
fn a_key_that_a_scenario_does_not_use_is_refused() {
    for scenario in Scenario::value_variants() {
        for (key, value) in CASE_KEYS {
            let always = ["connections", "rtt", "bandwidth", "rounds"].contains(&key);
            let used = always || scenario.uses().iter().any(|used| used.name() == key);
            let said = said(&case(*scenario, &format!("{key}={value}")));
            let name = scenario.name();
            match said {
                None => assert!(used, "{key} of {name} is taken"),
                Some(said) => {
                    assert!(!used, "{said}");
                    let words = format!("{key} is of no use to {name}; leave it out (");
                    assert!(said.contains(&words), "{said}");
                }
            }
        }
    }
}

/// What the sessions do with the sizes of a case, said once more in other words.
#[test]
fn a_title_names_the_bytes_of_an_operation() {
    for (scenario, lines, title) in [
        (
            Scenario::H1Keepalive,
            "up=\"3KiB\"",
            "HTTP/1.1 request, keep-alive, 3 KiB up, 8 connections",
        ),
        (
            Scenario::H2Keepalive,
            "up=\"0\"\ndown=\"5KiB\"",
            "HTTP/2 request, keep-alive, 5 KiB down, 8 connections",
        ),
        (
            Scenario::GrpcUnary,
            "up=\"3KiB\"",
            "gRPC unary call, 3 KiB up, 3 KiB down, 8 connections",
        ),
        (
            Scenario::FederatedRound,
            "up=\"3KiB\"\ndown=\"5KiB\"",
            "Federated round, 3 KiB up, 5 KiB down, 8 connections",
        ),
    ] {
        let text = format!("name=\"p\"\n{}", case(scenario, lines));
        assert_eq!(parse("p", &text).unwrap().cases[0].title(), title);
    }
}

#[test]
fn a_stream_has_a_token() {
    for scenario in [Scenario::TokenStream, Scenario::Mix] {
        let said = said(&case(scenario, "tokens=0")).unwrap_or_default();
        assert!(
            said.ends_with("tokens is 0; write how many a stream has, at least 1"),
            "{said}"
        );
        assert_eq!(self::said(&case(scenario, "tokens=1")), None);
    }
}

#[test]
fn a_key_that_a_kind_of_target_does_not_use_is_refused() {
    let of_tls = [
        "groups",
        "expect",
        "ca",
        "server_name",
        "client_cert",
        "client_key",
        "listener",
    ];
    for (url, scenario) in [
        ("https://a:1", Scenario::H1Keepalive),
        ("tls://a:1", Scenario::TcpUpload),
        ("http://a:1", Scenario::H1Keepalive),
    ] {
        for (key, value) in TARGET_KEYS {
            let lines = match key {
                "client_cert" => format!("{key}={value}\nclient_key=\"k.pem\""),
                "client_key" => format!("client_cert=\"c.pem\"\n{key}={value}"),
                "listener" => format!("{key}={value}\nmetrics=\"http://a:1/metrics\""),
                // Which groups a subject lists by itself is not the question here.
                "expect" if !url.starts_with("http:") => {
                    format!("{key}={value}\ngroups=[\"X25519\"]")
                }
                _ => format!("{key}={value}"),
            };
            let text = targets([url, url], &lines) + &case(scenario, "");
            let said = said(&text);
            if url.starts_with("http:") && of_tls.contains(&key) {
                let said = said.unwrap_or_default();
                let named = key.split('_').next().unwrap();
                assert!(said.contains("target a: "), "{key}: {said}");
                assert!(said.contains(named), "{key}: {said}");
                assert!(said.contains("is of no use to http://"), "{key}: {said}");
            } else {
                assert_eq!(said, None, "{key} at {url}");
            }
        }
    }
}

#[test]
fn keys_that_mean_nothing_beside_others_are_refused() {
    let with = |lines| {
        let urls = ["https://a:1", "https://b:1"];
        said(&(targets(urls, lines) + &case(Scenario::Mix, ""))).unwrap_or_default()
    };
    for (lines, what) in [
        ("listener=\"l\"", "listener is of no use without metrics"),
        ("pid=1\npid_file=\"p\"", "pid is of no use beside pid_file"),
    ] {
        let said = with(lines);
        assert!(said.contains(&format!("target a: {what}")), "{said}");
    }
}

/// A case was left out without a word, or compared a handshake with none.
#[test]
fn every_scenario_wants_a_subject_and_a_baseline_that_speak_it() {
    let kinds = ["https://a:1", "http://a:1", "tls://a:1"];
    for scenario in Scenario::value_variants() {
        let tcp = scenario.name().starts_with("tcp");
        let fits = |url: &str| match url.split_once(':') {
            Some(("tls", _)) => tcp,
            Some(("http", _)) => !tcp && !scenario.name().ends_with("handshake"),
            _ => !tcp,
        };
        for subject in kinds {
            for baseline in kinds {
                let said = said(&(targets([subject, baseline], "") + &case(*scenario, "")));
                let fit = fits(subject) && fits(baseline);
                assert_eq!(said.is_none(), fit, "{subject} {baseline}: {said:?}");
                let why = said.unwrap_or_default();
                let words = [
                    "it has no handshake",
                    "is at https:// or http://",
                    "is at tls://",
                ];
                assert!(
                    fit || words.iter().any(|words| why.contains(words)),
                    "{why}"
                );
            }
        }
    }
}

#[test]
fn loopback_is_an_address_or_localhost() {
    use crate::plan::{Role, Target};
    let is = |url: &str| Target::new("a", url.into(), Role::Subject, Vec::new()).is_on_loopback();
    for near in [
        "http://127.0.0.1:1",
        "https://127.3.0.1",
        "tls://[::1]:1",
        "https://[::1]/",
        "https://\\[::1\\]:1",
        "https://[::ffff:127.0.0.1]:1",
        "https://LocalHost:8443",
    ] {
        assert!(is(near), "{near}");
    }
    for far in [
        "http://10.0.0.1:1",
        "https://[fd00::1]:1",
        "https://localhost.example:1",
        "https://model.example",
        "127.0.0.1",
    ] {
        assert!(!is(far), "{far}");
    }
}
