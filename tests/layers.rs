//! The order of the source: which part may know of which, and who may name what.
//!
//! Read from the text of `src/`, without comments, doc comments and unit tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Parts that wire others together and may know any of them. Everything else is below them.
const WIRING: [&str; 9] = [
    "main", "lib", "run", "demo", "cli", "ctl", "config", "certgen", "inject",
];

/// What each part below may import of the crate, itself aside.
const BELOW: [(&str, &[&str]); 18] = [
    (
        "admin",
        &[
            "budget", "build", "drain", "listener", "metrics", "panics", "probes", "proxy", "time",
            "tls",
        ],
    ),
    (
        "proxy",
        &[
            "budget",
            "drain",
            "io",
            "listener",
            "log_limit",
            "metrics",
            "panics",
            "tls",
            "worker",
        ],
    ),
    ("tls", &["fairness", "io", "panics", "redact", "suggest"]),
    ("listener", &["drain", "fairness", "metrics"]),
    ("fairness", &[]),
    ("log_limit", &[]),
    ("panics", &[]),
    ("probes", &["redact"]),
    ("metrics", &[]),
    ("drain", &[]),
    ("allocator", &[]),
    ("io", &[]),
    ("budget", &[]),
    ("build", &[]),
    ("redact", &[]),
    ("suggest", &[]),
    ("time", &[]),
    ("worker", &[]),
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
        &["crate::proxy", "hyper", "http::", "h2::", "httparse"],
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
        // rustls's own verifier of a signature, and a setting about tickets: names of functions.
        !["verify_tls13_signature", "send_tls13_tickets"]
            .iter()
            .any(|name| line.contains(name))
    });
    let unexplained: Vec<_> = unexplained.collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
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

/// One file of `src/`.
struct Source {
    /// Below `src/`.
    path: String,
    /// Its module of the top level.
    part: String,
    /// Without comments and unit tests.
    code: String,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "src/{}", self.path)
    }
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        let part = path.split(['/', '.']).next().unwrap().to_owned();
        let text = fs::read_to_string(file).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap();
        let code = |line: &&str| !line.trim_start().starts_with("//");
        Self {
            path: path.to_owned(),
            part,
            code: shipped
                .lines()
                .filter(code)
                .fold(String::new(), |all, line| all + line + "\n"),
        }
    }

    /// The top-level modules of the crate that are named, alone or in braces.
    fn imports(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for rest in self.code.split("crate::").skip(1) {
            let names = match rest.strip_prefix('{') {
                Some(list) => list
                    .split('}')
                    .next()
                    .unwrap_or_default()
                    .split(',')
                    .collect(),
                None => vec![rest],
            };
            for name in names {
                let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                let name: String = name
                    .trim_start()
                    .chars()
                    .take_while(|c| is_name(*c))
                    .collect();
                if !name.is_empty() {
                    found.insert(name);
                }
            }
        }
        found
    }
}

/// Lines of the chosen files that contain one of these words.
fn naming(words: &[&str], chosen: impl Fn(&Source) -> bool) -> Vec<String> {
    matching(chosen, |line| words.iter().any(|word| line.contains(word)))
}

/// The same, letter case aside; the words are in lower case.
fn naming_in_any_case(words: &[&str], chosen: impl Fn(&Source) -> bool) -> Vec<String> {
    matching(chosen, |line| {
        let line = line.to_ascii_lowercase();
        words.iter().any(|word| line.contains(word))
    })
}

fn matching(chosen: impl Fn(&Source) -> bool, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    for source in sources().into_iter().filter(chosen) {
        for line in source.code.lines() {
            if wanted(line) {
                lines.push(format!("{source}: {}", line.trim()));
            }
        }
    }
    lines
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 50, "{} files", files.len());
    files.iter().map(|file| Source::read(&root, file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}
