//! The report is a pure function of the results: from a fixed file always the same Markdown and the same charts.
//! `BLESS=1 cargo test -p hybridge-loadtest --test golden` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use hybridge_loadtest::net::counts::Bytes;
use hybridge_loadtest::net::link::Link;
use hybridge_loadtest::net::relay::Verification;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario, Target};
use hybridge_loadtest::report;
use hybridge_loadtest::results::histogram::Packed;
use hybridge_loadtest::results::{
    Block, ByteCheck, CaseResult, Headroom, Machine, Provenance, Results, SCHEMA, file,
};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::tls::Group;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares with the kept file, or writes it when asked to.
fn check(name: &str, made: &str) {
    let path = folder().join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} differs; look at it, then BLESS=1",
        path.display()
    );
}

fn target(name: &str, role: Role, group: Group) -> Target {
    Target::new(
        name,
        format!("https://{name}.example:8443"),
        role,
        vec![group],
    )
}

fn case(scenario: Scenario, link: Link, connections: u32) -> Case {
    let defaults = scenario.defaults();
    Case {
        scenario,
        link,
        load: Load::Closed { connections },
        up: defaults.up,
        down: defaults.down,
        tokens: defaults.tokens,
        token_interval_us: defaults.token_interval_us,
        streams: 1,
        rounds: 8,
        block_ms: 300,
        warmup_ms: 60,
    }
}

/// Blocks that scatter around a level: microseconds of latency and of server CPU, bytes of handshake.
fn blocks(case: &Case, rng: &mut Rng) -> Vec<Block> {
    let mut blocks = Vec::new();
    for pair in 0..case.rounds {
        for (name, latency, cpu, up, down) in [
            ("hybrid", 480, 152.0, 1522, 1807),
            ("classical", 420, 128.0, 300, 718),
        ] {
            let latency = latency + case.link.rtt_us;
            let ops = 600 * u64::from(case.load.connections().min(8));
            let values: Vec<u64> = (0..ops)
                .map(|_| (latency * 1000) + rng.below(90_000) as u64 + rng.below(4) as u64 * 20_000)
                .collect();
            let streams = case.scenario.streams_tokens();
            blocks.push(Block {
                pair,
                target: name.into(),
                elapsed_s: 0.3,
                ops,
                units: if streams { ops * 64 } else { 0 },
                errors: 0,
                unserved: 0,
                bytes: Bytes {
                    handshakes: ops,
                    handshake_up: ops * up,
                    handshake_down: ops * down,
                    tickets: ops * 231,
                    wire_up: ops * (up + 120),
                    wire_down: ops * (down + 231 + 1300),
                    plain_up: ops * 98,
                    plain_down: ops * 1278,
                },
                latency: Packed::of(&values),
                first: streams.then(|| Packed::of(&values)),
                gap: streams.then(|| Packed::of(&values)),
                late: streams.then(|| Packed::of(&values)),
                server_cpu_s: Some(ops as f64 * (cpu + rng.unit() * 4.0) / 1e6),
                generator_cpu_s: 0.2,
                server_rss: Some(14_000_000),
                rss_added: (case.scenario == Scenario::Idle)
                    .then(|| (ops * 14_500 + rng.below(9000) as u64).cast_signed()),
            });
        }
    }
    blocks
}

fn results() -> Results {
    let mut rng = Rng::new(11);
    let far = Link {
        rtt_us: 20_000,
        bits_per_second: 0,
    };
    let near = Link::default();
    let cases = [
        case(Scenario::Idle, near, 1),
        case(Scenario::FullHandshake, near, 1),
        case(Scenario::FullHandshake, far, 1),
        case(Scenario::ResumedHandshake, near, 4),
        case(Scenario::H1Keepalive, near, 1),
        case(Scenario::H1Keepalive, near, 8),
        case(Scenario::TokenStream, near, 1),
        case(Scenario::Download, near, 1),
        case(Scenario::GradientExchange, near, 1),
    ];
    Results {
        schema: SCHEMA.into(),
        provenance: Provenance {
            started: "2026-11-22T00:00:00Z".into(),
            version: "0.0.0".into(),
            profile: "optimised".into(),
            command: vec!["compare".into(), "--quick".into()],
            plan_name: "golden".into(),
            plan: "name = \"golden\"".into(),
            seed: 11,
            shard: "1/1".into(),
            machine: Machine {
                cpu: "Example CPU".into(),
                cores: 2,
                memory_mib: 8192,
                kernel: "6.0".into(),
                cpu_flags: vec!["aes".into()],
            },
            versions: [("hybrid".to_owned(), "version=0.0.0".to_owned())].into(),
            pinning: "servers on core [0], generator on core [1]".into(),
            spins: false,
            interrupted: false,
        },
        targets: vec![
            target("hybrid", Role::Subject, Group::X25519MLKEM768),
            target("classical", Role::Baseline, Group::X25519),
        ],
        headroom: Some(Headroom {
            null_p50_us: 31.0,
            null_p99_us: 58.0,
            null_per_second: 61_000.0,
            cores: 1,
        }),
        links: vec![Verification {
            link: far,
            bare_rtt_us: 40.0,
            median_rtt_us: 20_130.0,
            p95_rtt_us: 20_300.0,
            measured_mbit: None,
        }],
        cases: cases
            .into_iter()
            .map(|case| CaseResult {
                blocks: blocks(&case, &mut rng),
                case,
            })
            .collect(),
        checks: vec![ByteCheck {
            target: "hybrid".into(),
            what: "handshake bytes up".into(),
            client: 4_000,
            server: 4_000,
        }],
        warnings: Vec::new(),
    }
}

#[test]
fn the_markdown_report_is_the_kept_one() {
    check("report.md", &report::markdown(&results()));
}

#[test]
fn the_page_with_its_charts_is_the_kept_one() {
    let page = report::html::page(&results());
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org").count()
    );
    check("report.html", &page);
}

#[test]
fn every_chart_is_drawn_from_these_results() {
    let captions: Vec<_> = report::charts::all(&results())
        .into_iter()
        .map(|(_, caption)| caption)
        .collect();
    assert_eq!(captions.len(), 6, "{captions:?}");
}

#[test]
fn a_run_compared_with_itself_shows_nothing_and_with_a_slower_one_its_difference() {
    let names = ["a".to_owned(), "b".to_owned()];
    let same = report::compare::markdown(&names, &[results(), results()]);
    assert!(same.contains("Figures beyond the spread: 0."), "{same}");
    let mut slower = results();
    for block in slower
        .cases
        .iter_mut()
        .flat_map(|case| &mut case.blocks)
        .filter(|block| block.target == "hybrid")
    {
        block.server_cpu_s = block.server_cpu_s.map(|seconds| seconds * 2.0);
    }
    let told = report::compare::markdown(&names, &[results(), slower]);
    assert!(
        told.lines()
            .any(|line| line.contains("server CPU per operation") && line.contains('*')),
        "{told}"
    );
    assert!(
        told.lines()
            .filter(|line| line.starts_with("| latency"))
            .all(|line| !line.contains('*')),
        "{told}"
    );
}

#[test]
fn a_generator_at_its_limit_and_a_debug_build_are_told_first() {
    let mut busy = results();
    busy.provenance.profile = "debug".into();
    busy.cases[1]
        .blocks
        .iter_mut()
        .for_each(|block| block.generator_cpu_s = 0.29);
    let text = report::markdown(&busy);
    let first_table = text.find("| ").unwrap();
    for words in ["debug build", "The generator used more than 90 %"] {
        assert!(
            text.find(words).is_some_and(|at| at < first_table),
            "{words}"
        );
    }
}

#[test]
fn a_peer_run_is_told_as_ratios_to_the_best_peer() {
    let mut peers = results();
    peers
        .targets
        .push(target("other", Role::Baseline, Group::X25519MLKEM768));
    for case in &mut peers.cases {
        let others: Vec<_> = case.blocks_of("classical").cloned().collect();
        case.blocks.extend(others.into_iter().map(|block| Block {
            target: "other".into(),
            server_cpu_s: block.server_cpu_s.map(|seconds| seconds * 3.0),
            ..block
        }));
    }
    let text = report::markdown(&peers);
    assert!(text.contains("Ratio to the best other proxy"));
    let row = text
        .lines()
        .find(|line| line.starts_with("| Full handshake | server CPU per operation | hybrid |"))
        .unwrap();
    assert!(
        row.contains("| classical: 131 us |"),
        "the cheaper peer is the one to beat: {row}"
    );
    let ratio: f64 = row
        .split(" | ")
        .nth(5)
        .and_then(|cell| cell.split(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    assert!((ratio - 154.0 / 130.5).abs() < 0.02, "{row}");
    assert!(
        text.contains("| SSE token stream, 64 tokens | added latency per token, p99 | hybrid |"),
        "a token stream has a ratio of its delay too"
    );
}

#[test]
fn one_group_on_both_sides_is_told_as_a_ratio_of_servers() {
    let mut alone = results();
    alone.targets = vec![
        target("hybrid", Role::Subject, Group::X25519MLKEM768),
        target("classical", Role::Baseline, Group::X25519MLKEM768),
    ];
    let text = report::markdown(&alone);
    assert!(text.starts_with("# Servers side by side: golden"), "{text}");
    assert!(text.contains("Cost as a ratio to the baseline. "), "{text}");
    assert!(!text.contains("A full handshake with"), "{text}");
    assert!(!report::markdown(&results()).contains("Ratio to"));
}

#[test]
fn a_result_file_of_another_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&file::to_json(&results()).unwrap()).unwrap();
    json["schema"] = "hybridge-loadtest/0".into();
    std::fs::write(&path, json.to_string()).unwrap();
    let error = file::load(&path).unwrap_err();
    assert!(error.to_string().contains("hybridge-loadtest/0"), "{error}");
    assert_eq!(error.exit_code(), 64);
}
