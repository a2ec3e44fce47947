//! The report is a pure function of the results: from a fixed file always the same Markdown and the same charts.
//! `BLESS=1 cargo test -p hybridge-loadtest --test tool golden` writes them anew.

use std::path::PathBuf;

use crate::support::fixture::{results, target};
use hybridge_loadtest::plan::{Role, Scenario};
use hybridge_loadtest::report;
use hybridge_loadtest::results::findings::{Metric, difference};
use hybridge_loadtest::results::histogram::Packed;
use hybridge_loadtest::results::{Block, CaseResult, file};
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

#[test]
fn the_markdown_report_is_the_kept_one() {
    check("report.md", &report::markdown(&results()));
}

#[test]
fn the_page_with_its_charts_is_the_kept_one() {
    let page = report::html(&results());
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
    let same = report::compare::markdown(&names, &[results(), results()]).unwrap();
    assert!(same.contains("Figures beyond the spread: 0 of "), "{same}");
    let mut slower = results();
    for block in slower
        .cases
        .iter_mut()
        .flat_map(|case| &mut case.blocks)
        .filter(|block| block.target == "hybrid")
    {
        block.server_cpu_s = block.server_cpu_s.map(|seconds| seconds * 2.0);
    }
    let told = report::compare::markdown(&names, &[results(), slower]).unwrap();
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
fn an_overload_is_told_first() {
    let mut overload = results();
    overload.cases[1].blocks[0].unserved = 1200;
    let text = report::text(&overload);
    assert!(
        text.starts_with("1,200 operations due and not served: "),
        "{text}"
    );
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
        row.contains("| classical: 131 µs |"),
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
        text.contains(
            "| SSE token stream, 64 tokens, 2 ms apart | added latency per token, p99 | hybrid |"
        ),
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

/// What holds for some runs only is said of them only.
#[test]
fn statements_of_method_and_limits_are_of_this_run() {
    let loopback = "Client and server share one machine";
    let verified = "of every TLS connection were verified";
    let warm = "Warm-up is run before each block";
    let far = report::markdown(&results());
    assert!(!far.contains(loopback) && far.contains(verified), "{far}");
    assert!(
        far.contains("loopback: hybrid, classical. The network"),
        "{far}"
    );
    let mut near = results();
    for (target, host) in near.targets.iter_mut().zip(["127.0.0.1", "[::1]"]) {
        target.url = format!("http://{host}:8080");
    }
    near.links.clear();
    for case in &mut near.cases {
        case.case.warmup_ms = 0;
        for block in &mut case.blocks {
            block.server_cpu_s = None;
        }
    }
    let report = report::markdown(&near);
    for absent in [
        verified,
        warm,
        "below TLS",
        "emulated link",
        "Server CPU is",
    ] {
        assert!(
            !report.contains(absent) && far.contains(absent),
            "{absent}: {report}"
        );
    }
    assert!(
        report.contains(loopback) && report.contains("No target has TLS"),
        "{report}"
    );
}

/// Of eight values the 99th percentile is the largest, and so is the 99.9th.
#[test]
fn percentiles_beyond_the_values_are_none() {
    let mut few = results();
    let case = &mut few.cases[1];
    for block in &mut case.blocks {
        block.latency = Packed::of(&[400_000, 900_000]);
    }
    let title = case.case.title();
    let figures: Vec<_> = report::figures::Assessed::of(&few)
        .cases()
        .find(|case| case.measured.case.title() == title)
        .map(|case| case.figures.iter().map(|figure| figure.metric).collect())
        .unwrap();
    assert!(figures.contains(&Metric::Median), "{figures:?}");
    assert!(!figures.contains(&Metric::P99), "{figures:?}");
    let text = report::markdown(&few);
    let row = format!("| {title} | hybrid | 16 | 400 µs | 900 µs | - | - | 900 µs | 0 |");
    assert!(text.contains(&row), "{text}");
    // One block may be short, where the others are not.
    let mut one = results();
    one.cases[1].blocks[0].latency = Packed::of(&[400_000; 20]);
    let pairs = difference(&one.cases[1], "classical", "hybrid", Metric::P99).unwrap();
    assert_eq!(pairs.n, 8);
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

#[test]
fn a_busy_machine_is_told_before_anything_else() {
    let mut busy = results();
    for round in busy.cases.iter_mut().flat_map(|case| &mut case.rounds) {
        round.others = Some(60.0);
    }
    let text = report::markdown(&busy);
    let first = text.lines().find(|line| line.starts_with('>')).unwrap();
    assert!(
        first.contains("This machine was busy: do not quote these figures."),
        "{first}"
    );
    assert!(text.contains("| 8 of 8 |"), "rounds are marked");
    assert!(report::text(&busy).starts_with("This machine was busy"));
    let mut once = results();
    once.cases[0].rounds[0].steal = Some(30.0);
    let text = report::markdown(&once);
    assert!(!text.contains("do not quote") && text.contains("1 of 72 rounds were under pressure"));
}

/// What the pairs cannot tell apart from chance is no difference, neither above nor in the first table.
#[test]
fn what_does_not_survive_the_number_of_figures_is_not_called_a_difference() {
    let mut noisy = results();
    let mut rng = Rng::new(3);
    // A difference of about two standard errors: its own interval leaves out zero now and then.
    for case in &mut noisy.cases {
        for block in &mut case.blocks {
            let level = 128.0 + 20.0 * rng.unit();
            block.server_cpu_s = Some(block.ops as f64 * level / 1e6);
        }
    }
    let text = report::markdown(&noisy);
    assert!(
        text.contains("survive the correction for their number (Benjamini-Hochberg"),
        "{text}"
    );
    let assessed = report::figures::Assessed::of(&noisy);
    for figure in assessed
        .all()
        .filter(|figure| figure.metric == Metric::ServerCpu)
    {
        assert!(!figure.is_called(), "{figure:?}");
    }
}

#[test]
fn figures_of_every_case_stand_in_the_csv() {
    let csv = report::csv::lines(&results());
    let mut lines = csv.lines();
    let columns = lines.next().unwrap().split(',').count();
    let row = lines
        .find(|line| {
            line.starts_with("\"Full handshake, 20.0 ms") || line.contains("full-handshake")
        })
        .unwrap();
    assert!(row.contains(",hybrid,") && columns == 18, "{row}");
    assert!(csv.contains(",cpu-per-operation,us,"), "{csv}");
}

#[test]
fn a_limit_is_met_by_a_difference_beyond_it_only() {
    use hybridge_loadtest::report::limit::{Limit, Outcome};
    let outcome = |text: &str| text.parse::<Limit>().unwrap().check(&results());
    assert!(matches!(outcome("full-handshake.cpu > 10%"), Outcome::Met(cases) if cases.len() == 2));
    assert_eq!(outcome("full-handshake.cpu > 40%"), Outcome::NotMet);
    assert!(matches!(
        outcome("full-handshake.latency > 40us"),
        Outcome::Met(_)
    ));
    assert_eq!(outcome("full-handshake.latency < 0us"), Outcome::NotMet);
    assert_eq!(outcome("grpc-unary.cpu > 1%"), Outcome::NotMeasured);
}

#[test]
fn nothing_compared_is_said_as_such() {
    let mut none = results();
    for case in &mut none.cases {
        case.blocks.retain(|block| block.target == "hybrid");
    }
    let text = report::markdown(&none);
    assert!(
        text.contains("No figure was compared: none was measured on both sides."),
        "{text}"
    );
    assert!(!text.contains("0 of 0"), "{text}");
}

#[test]
fn a_target_that_failed_one_case_has_its_place_in_the_chart_of_all() {
    let mut results = results();
    let is_request = |case: &&mut CaseResult| case.case.scenario == Scenario::H1Keepalive;
    let first = results.cases.iter_mut().find(is_request).unwrap();
    first.blocks.retain(|block| block.target != "hybrid");
    let charts = report::charts::all(&results);
    let of_rate = |(_, caption): &&(String, String)| caption.contains("against connections");
    let (svg, _) = charts.iter().find(of_rate).unwrap();
    for shown in [">hybrid<", ">classical<", ">1<", ">8<"] {
        assert!(svg.contains(shown), "{shown}: {svg}");
    }
}
