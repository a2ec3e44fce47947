//! What a plan file may say, and what is refused with which words.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::plan::embedded::{EMBEDDED, load};

#[test]
fn every_plan_that_comes_along_is_valid() {
    for (name, _) in EMBEDDED {
        assert!(!load(name).unwrap().cases.is_empty(), "{name}");
    }
    let plans = concat!(env!("CARGO_MANIFEST_DIR"), "/plans");
    for plan in std::fs::read_dir(plans).unwrap() {
        let path = plan.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        parse(path.to_str().unwrap(), &text).unwrap();
    }
}

#[test]
fn an_unknown_key_is_named() {
    let error = parse("p", "name=\"p\"\nronds=3\n[[case]]\nscenario=\"mix\"").unwrap_err();
    assert!(error.to_string().contains("ronds"), "{error}");
    assert_eq!(error.exit_code(), 64);
}

#[test]
fn an_empty_text_of_a_target_says_what_to_write() {
    let with = |key: &str| {
        let text = format!(
            "name=\"p\"\n[[target]]\nname=\"a\"\nurl=\"https://a:1\"\nrole=\"subject\"\n{key}=\"\"\n[[case]]\nscenario=\"mix\""
        );
        parse("p", &text).unwrap_err().to_string()
    };
    let said = with("ca");
    assert!(
        said.contains("target a: ca is empty; write the path of a PEM file"),
        "{said}"
    );
    let said = with("client_key=\"\"\nclient_cert");
    assert!(said.contains("target a: client_cert is empty"), "{said}");
    let said = with("client_cert=\"c.pem\"\nclient_key");
    assert!(said.contains("target a: client_key is empty"), "{said}");
    for key in ["pid_file", "server_name", "metrics", "listener"] {
        let said = with(key);
        assert!(
            said.contains(&format!("target a: {key} is empty")),
            "{said}"
        );
    }
}

/// The names that the reader itself lists when it meets one it does not know.
fn keys(table: &str, others: &str) -> Vec<String> {
    let error = parse("p", &format!("{table}nonsense=1\n{others}")).unwrap_err();
    let said = error.to_string();
    let (_, list) = said.split_once("expected one of ").unwrap();
    let line = list.lines().next().unwrap();
    let names = line
        .split(", ")
        .map(|name| name.trim_matches('`').to_owned());
    names.collect()
}

#[test]
fn every_key_of_a_plan_is_in_the_readme() {
    let case = "[[case]]\nscenario=\"mix\"\n";
    let target = "name=\"p\"\n[[target]]\n";
    let tables = [
        ("top", keys("", case)),
        ("[[target]]", keys(target, case)),
        ("[[case]]", keys("name=\"p\"\n[[case]]\n", "")),
    ];
    let readme = include_str!("../../../README.md");
    let (_, section) = readme.split_once("## Plan files").unwrap();
    for (table, keys) in tables {
        assert!(keys.len() > 3, "{table} {keys:?}");
        for key in keys {
            let row = format!("| `{key}` | {table} |");
            assert!(section.contains(&row), "{row}");
        }
    }
}

#[test]
fn lists_of_links_and_loads_multiply() {
    let text = "name=\"p\"\n[[case]]\nscenario=\"full-handshake\"\nrtt=[\"0\",\"20ms\"]\nconnections=[1,8,64]";
    assert_eq!(parse("p", text).unwrap().cases.len(), 6);
}

/// Each of them ended in a panic, a run without an end or a link without a limit.
#[test]
fn values_that_mean_nothing_are_refused() {
    for (line, what) in [
        ("connections=[]", "connections is empty"),
        ("rate=[]", "rate is empty"),
        ("rtt=[]", "rtt is empty"),
        ("bandwidth=[]", "bandwidth is empty"),
        ("rate=[nan]", "rate must be 0.001 to 1000000 a second"),
        ("rate=[inf]", "rate must be"),
        ("rate=[-1.0]", "rate must be"),
        ("rtt=[\"9999999999999m\"]", "longer than a day"),
        ("block=\"99999999999999m\"", "longer than a day"),
        ("token_interval=\"99999999999999999s\"", "longer than a day"),
        ("rtt=[\"0.1us\"]", "shorter than a microsecond"),
        ("bandwidth=[\"0.0001kbit\"]", "less than 1kbit"),
    ] {
        let text = format!("name=\"p\"\n[[case]]\nscenario=\"mix\"\n{line}");
        let error = parse("p", &text).unwrap_err().to_string();
        assert!(error.contains(what), "{line}: {error}");
    }
}

/// What is not the same work is another case, which a comparison of runs must not take for the same.
#[test]
fn cases_that_differ_in_the_interval_of_their_tokens_are_two() {
    let titles = |scenario: &str, keys: &str| {
        let text = format!("name=\"p\"\n[[case]]\nscenario=\"{scenario}\"\n{keys}");
        let plan = parse("p", &text).unwrap();
        plan.cases.iter().map(Case::title).collect::<Vec<_>>()
    };
    let second = "[[case]]\nscenario=\"token-stream\"\ntoken_interval";
    let both = titles(
        "token-stream",
        &format!("{second}=\"10ms\"\n{second}=\"0\""),
    );
    let tokens = "SSE token stream, 64 tokens";
    assert_eq!(
        both,
        [
            format!("{tokens}, 2 ms apart, 8 connections"),
            format!("{tokens}, 10 ms apart, 8 connections"),
            format!("{tokens}, at once, 8 connections"),
        ]
    );
    let one = titles("mix", "tokens=1\ntoken_interval=\"3ms\"");
    assert!(one[0].contains("1 token, 8 connections"), "{one:?}");
}

#[test]
fn contradictions_are_refused() {
    for (text, what) in [
        ("name=\"p\"\nrounds=1\n[[case]]\nscenario=\"mix\"", "rounds"),
        (
            "name=\"p\"\n[[case]]\nscenario=\"mix\"\n[[case]]\nscenario=\"mix\"",
            "same",
        ),
        (
            "name=\"p\"\n[[case]]\nscenario=\"mix\"\nconnections=[0]",
            "connections",
        ),
        (
            "name=\"p\"\n[[case]]\nscenario=\"mix\"\nrtt=[\"20\"]",
            "\"20\"",
        ),
        ("name=\"p\"\n[[case]]\nscenario=\"mux\"", "mux"),
        (
            "name=\"p\"\n[[case]]\nscenario=\"mix\"\nstreams=2",
            "streams is of no use to mix; leave it out (h2-keepalive, grpc-unary, grpc-stream use it)",
        ),
        (
            "name=\"p\"\n[[case]]\nscenario=\"h2-keepalive\"\nstreams=0",
            "streams must be",
        ),
        (
            "name=\"p\"\n[[target]]\nname=\"a\"\nurl=\"https://a:1\"\nrole=\"subject\"\nconnections=9\n\
             [[target]]\nname=\"b\"\nurl=\"https://b:1\"\nrole=\"baseline\"\n[[case]]\nscenario=\"mix\"",
            "every target",
        ),
        (
            "name=\"p\"\n[[target]]\nname=\"a\"\nurl=\"https://a:1\"\nrole=\"subject\"\nclient_cert=\"c.pem\"\n\
             [[case]]\nscenario=\"mix\"",
            "client_cert and client_key belong together",
        ),
        (
            "name=\"p\"\n[[case]]\nscenario=\"h1-keepalive\"\nup=\"1KiB\"\ndown=\"1KiB\"",
            "up and down are set",
        ),
        (
            "name=\"p\"\n[[case]]\nscenario=\"upload\"\nup=\"0\"",
            "up is 0",
        ),
    ] {
        let error = parse("p", text).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
