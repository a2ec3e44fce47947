//! A baseline of exactly zero, such as bytes beyond the payload without TLS: no share of it exists, and the difference is
//! told and held against limits all the same.

use crate::support::fixture;
use hybridge_loadtest::plan::Scenario;
use hybridge_loadtest::report::figures::{Assessed, Figure};
use hybridge_loadtest::report::limit::{Limit, Outcome};
use hybridge_loadtest::report::{csv, markdown};
use hybridge_loadtest::results::Results;
use hybridge_loadtest::results::findings::Metric;
use hybridge_loadtest::stats::Verdict;

/// The classical target puts nothing on the wire but the payload, and its connections take no memory.
fn results() -> Results {
    let mut results = fixture::results();
    results
        .cases
        .retain(|case| matches!(case.case.scenario, Scenario::Download | Scenario::Idle));
    for block in results.cases.iter_mut().flat_map(|case| &mut case.blocks) {
        if block.target == "classical" {
            block.bytes.wire_up = block.bytes.plain_up;
            block.bytes.wire_down = block.bytes.plain_down;
            block.rss_added = block.rss_added.map(|_| 0);
        }
    }
    results
}

fn figure(assessed: &Assessed<'_>, metric: Metric) -> Figure {
    let mut all = assessed.all();
    all.find(|figure| figure.metric == metric).unwrap().clone()
}

#[test]
fn a_difference_over_zero_is_called_and_shown_as_it_is() {
    let results = results();
    let assessed = Assessed::of(&results);
    let overhead = figure(&assessed, Metric::Overhead);
    assert!(overhead.baseline.mean.abs() < f64::EPSILON);
    assert_eq!(overhead.percent(), None);
    assert_eq!(overhead.called(), Verdict::More);
    // (1522 + 120 + 1807 + 231 + 1300) of 98 + 1278 bytes, less the payload: 3604 / 1376.
    assert!((overhead.difference.mean - 261.92).abs() < 0.01);
    assert_eq!(overhead.called_cell(), "+262 % over a baseline of 0");
    let memory = figure(&assessed, Metric::IdleMemory);
    assert_eq!(memory.called(), Verdict::More);
    assert_eq!(memory.called_cell(), "+14.2 KiB over a baseline of 0");
    let report = markdown(&results);
    assert!(report.contains("+262 % over a baseline of 0"), "{report}");
    let lines = csv::lines(&results);
    let line = lines.lines().find(|line| line.contains(",overhead,"));
    assert_eq!(line.unwrap().split(',').nth_back(3), Some(""), "no share");
}

#[test]
fn a_limit_in_per_cent_is_met_by_a_difference_over_zero() {
    let results = results();
    let check = |text: &str| text.parse::<Limit>().unwrap().check(&results);
    for met in ["download.overhead > 0.01%", "idle.memory > 1000%"] {
        // The figure's own unit is per cent: that limit is one of its value.
        assert!(matches!(check(met), Outcome::Met(_)), "{met}");
    }
    let Outcome::Met(cases) = check("idle.memory > 10%") else {
        panic!("not met");
    };
    assert!(
        cases[0].contains("+14.2 KiB over a baseline of 0"),
        "{cases:?}"
    );
    for not_met in ["download.overhead < -5%", "idle.memory < -5%"] {
        assert_eq!(check(not_met), Outcome::NotMet, "{not_met}");
    }
}

#[test]
fn nothing_over_nothing_is_equivalent() {
    let mut results = results();
    for block in results.cases.iter_mut().flat_map(|case| &mut case.blocks) {
        block.rss_added = block.rss_added.map(|_| 0);
    }
    let memory = figure(&Assessed::of(&results), Metric::IdleMemory);
    assert_eq!(
        memory.called_cell(),
        "equivalent, within ±0 KiB over a baseline of 0"
    );
    let limit: Limit = "idle.memory > 0.01%".parse().unwrap();
    assert_eq!(limit.check(&results), Outcome::NotMet);
}
