//! The order of the source: which part may know of which, and who may name what.
//!
//! Read from the text of `src/`, without comments, doc comments and unit tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod architecture;
mod build_script;
mod circles;
mod inject;
mod length;
mod loadtest;
mod proxy;
mod runtimes;
mod source;

use std::collections::BTreeSet;

use source::{Source, naming, naming_in_any_case, sources};

/// Parts that wire others together and may know any of them. Everything else is below them.
const WIRING: [&str; 10] = [
    "main",
    "lib",
    "run",
    "demo",
    "cli",
    "ctl",
    "config",
    "certgen",
    "inject",
    "ticket_keys",
];

/// What each part below may import of the crate, itself aside.
const BELOW: [(&str, &[&str]); 28] = [
    ("counted", &[]),
    ("json", &["redact"]),
    (
        "admin",
        &[
            "budget", "build", "census", "drain", "io", "listener", "metrics", "panics", "probes",
            "proxy", "redact", "time", "tls", "traces",
        ],
    ),
    (
        "proxy",
        &[
            "budget",
            "census",
            "drain",
            "io",
            "listener",
            "log_limit",
            "metrics",
            "panics",
            "proxy_protocol",
            "redact",
            "signature",
            "tls",
            "traces",
            "worker",
        ],
    ),
    (
        "traces",
        &[
            "build",
            "io",
            "listener",
            "log_limit",
            "metrics",
            "panics",
            "redact",
            "tls",
            "worker",
        ],
    ),
    ("census", &["tls"]),
    ("spiffe", &["redact"]),
    (
        "tls",
        &[
            "counted",
            "fairness",
            "io",
            "panics",
            "proxy_protocol",
            "redact",
            "regular_file",
            "secret_file",
            "suggest",
        ],
    ),
    (
        "listener",
        &["drain", "fairness", "io", "log_limit", "metrics", "panics"],
    ),
    ("fairness", &[]),
    ("log_limit", &[]),
    ("panics", &["log_limit"]),
    ("probes", &["json", "redact"]),
    ("signature", &["redact", "regular_file", "secret_file"]),
    ("secret_file", &[]),
    ("proxy_protocol", &[]),
    ("metrics", &[]),
    ("drain", &[]),
    ("allocator", &[]),
    ("ending", &[]),
    ("failure", &[]),
    ("io", &[]),
    ("budget", &[]),
    ("build", &[]),
    ("regular_file", &[]),
    ("suggest", &[]),
    ("time", &[]),
    ("worker", &["panics"]),
];

#[test]
fn imports_go_one_way() {
    let mut violations = Vec::new();
    for source in sources() {
        if WIRING.contains(&source.part.as_str()) {
            continue;
        }
        let (_, allowed) = BELOW
            .iter()
            .find(|(part, _)| *part == source.part)
            .unwrap_or_else(|| {
                panic!(
                    "{}: state in BELOW what `{}` may import",
                    source, source.part
                )
            });
        for imported in source.imports() {
            if imported != source.part && !allowed.contains(&imported.as_str()) {
                violations.push(format!("{source} imports crate::{imported}"));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

/// What serves traffic must not carry what looks at others.
#[test]
fn only_the_command_line_knows_the_scan() {
    let lines = naming(&["hybridge_scan"], |source| {
        !["main", "failure", "cli", "ctl"].contains(&source.part.as_str())
    });
    assert!(lines.is_empty(), "{lines:#?}");
}

/// What serves traffic must not carry what seals and signs.
#[test]
fn only_the_command_line_knows_the_sealing() {
    let lines = naming(&["hybridge_seal", "x_wing"], |source| {
        // The planner asks what the init container's command would take; commands that make files, what they may
        // replace and how.
        let commands = ["main", "failure", "cli", "inject", "certgen", "ticket_keys"];
        !commands.contains(&source.part.as_str())
    });
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn only_the_wiring_knows_the_configuration() {
    let lines = naming(&["crate::config", "super::config"], |source| {
        !WIRING.contains(&source.part.as_str())
    });
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn tls_knows_nothing_of_http() {
    let lines = naming(
        &[
            "crate::proxy::",
            "hyper",
            "http::",
            "h2::",
            "httparse",
            "HTTP/",
            "GET ",
        ],
        |source| source.part == "tls",
    );
    assert!(lines.is_empty(), "{lines:#?}");
}

/// Groups, suites and versions by name or code point. `hello.rs` handles `NamedGroup`, the type,
/// and knows no value of it; `certgen` and `credentials` name signature keys, which are no groups.
#[test]
fn only_the_policy_names_a_group_a_suite_or_a_version() {
    let lines = naming_in_any_case(
        &[
            "x25519",
            "mlkem",
            "ml_kem",
            "secp256r1",
            "secp384r1",
            "kx_group::",
            "namedgroup::x",
            "namedgroup::s",
            "namedgroup::m",
            "tls13_",
            "tls_aes",
            "tls_chacha",
            "aes128",
            "aes256",
            "chacha",
            "ciphersuite::",
            "version::tls",
            "protocolversion::",
            "0x11e",
            "0x130",
        ],
        |source| {
            // A sample value of a header, for the fuzz targets; not part of a build without them.
            let sample = source.path == "proxy/fuzzing.rs";
            !source.path.starts_with("tls/policy") && !sample
        },
    );
    let unexplained = lines.iter().filter(|line| {
        // rustls's own verifier of a signature, and what it calls tickets: names of functions.
        ![
            "verify_tls13_signature",
            "send_tls13_tickets",
            "insert_tls13_ticket",
            "take_tls13_ticket",
        ]
        .iter()
        .any(|name| line.contains(name))
    });
    let unexplained: Vec<_> = unexplained.collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

/// The planner is a pure function: its callers read and write, and tell it what there is.
#[test]
fn the_planner_does_no_input_or_output() {
    let planner = |source: &Source| source.path.starts_with("inject/plan/");
    let lines = naming(
        &[
            "std::fs",
            "std::io",
            "std::net::Tcp",
            "std::env",
            "std::time",
            "tokio",
            "hyper",
            "tracing",
            "inject::manifest",
            "inject::webhook",
            "inject::cluster",
            "inject::cli",
            "fs::",
            "println",
        ],
        planner,
    );
    assert!(lines.is_empty(), "{lines:#?}");
    assert!(naming(&["json!"], planner).len() > 20);
}

/// The prefix, and the endings that the names of families have.
#[test]
fn only_metrics_names_a_metric() {
    let lines = naming(
        &[
            "\"hybridge_",
            "_total\"",
            "_seconds\"",
            "_bytes\"",
            "with_label_values",
            "prometheus::opts",
        ],
        |source| source.part != "metrics",
    );
    // A field of the demo's requests, and a file of the kernel's.
    let metrics = lines.iter().filter(|line| {
        !["hybridge_interval_ms", "memory.limit_in_bytes"]
            .iter()
            .any(|other| line.contains(other))
    });
    let metrics: Vec<_> = metrics.collect();
    assert!(metrics.is_empty(), "{metrics:#?}");
}

/// The check itself must be able to fail.
#[test]
fn the_rules_see_what_they_look_for() {
    let policy = |source: &Source| source.path.starts_with("tls/policy");
    assert!(naming_in_any_case(&["secp256r1"], policy).len() > 3);
    assert!(naming(&["\"hybridge"], |source| source.part == "metrics").len() == 1);
    let proxy: BTreeSet<_> = sources()
        .iter()
        .filter(|source| source.part == "proxy")
        .flat_map(Source::imports)
        .collect();
    assert!(
        proxy.contains("tls") && proxy.contains("metrics"),
        "{proxy:?}"
    );
    let nested = Source {
        path: "x/y.rs".to_owned(),
        part: "x".to_owned(),
        code: "use crate::{\n    admin::AdminCommand,\n    tls,\n};\nlet a = crate::io::relay;"
            .to_owned(),
    };
    let imports: Vec<_> = nested.imports().into_iter().collect();
    assert_eq!(imports, ["admin", "io", "tls"]);
}
