//! What is not known is neither said to be missing nor taken for good, in any format.

#![allow(clippy::unwrap_used)]
use clap::Parser;
use serde_json::json;

use super::*;
use crate::args::{CbomVersion, Require};
use crate::certificates::Certificates;
use crate::groups::Kind;
use crate::survey::{Accepted, Order};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    scan: ScanArgs,
}

fn survey(present: Option<bool>, others: Option<bool>) -> Survey {
    Survey {
        address: "127.0.0.1:1".to_owned(),
        versions: vec!["1.3"],
        groups: present.is_some().then(group).into_iter().collect(),
        complete: present.is_some(),
        order: Order::Unknown,
        hybrid: Hybrid {
            present,
            preferred: others,
            held: others,
            enforced: others,
        },
        certificates: Certificates::default(),
        doctor: None,
        notes: Vec::new(),
    }
}

fn group() -> Accepted {
    Accepted {
        name: "X25519MLKEM768".to_owned(),
        number: 0x11ec,
        kind: Kind::Hybrid,
    }
}

fn report_on(survey: Survey) -> Report {
    let endpoint = Endpoint {
        target: "127.0.0.1:1".to_owned(),
        outcome: Ok(survey),
    };
    let args = Line::parse_from(["scan", "127.0.0.1:1"]).scan;
    Report::new(vec![endpoint], Vec::new(), 0, &args)
}

#[test]
fn no_format_calls_what_is_not_known_missing() {
    let report = report_on(survey(Some(true), None));
    assert_eq!(report.totals.preferred, 0);
    let mut text = Vec::new();
    table::write(&report, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let line = "hybrid        present, preferred not known, held not known, enforced not known\n";
    assert!(text.contains(line), "{text}");
    assert!(report.advice.is_empty(), "{:?}", report.advice);
    let json = serde_json::to_value(&report).unwrap();
    let hybrid = json!({"present": true, "preferred": null, "held": null, "enforced": null});
    assert_eq!(json["endpoints"][0]["hybrid"], hybrid);
    let moment = [&json["at"], &json["at_time"]];
    assert_eq!(moment, [&json!(0), &json!("1970-01-01T00:00:00Z")]);
    let bill = cbom::bill(&report, CbomVersion::V17).to_string();
    assert!(bill.contains("hybridge:hybrid:present"), "{bill}");
    assert!(!bill.contains("hybridge:hybrid:held"), "{bill}");
}

#[test]
fn what_is_not_known_meets_no_requirement_and_is_no_breach_that_was_seen() {
    let breach = |present, others| {
        requirement::breach(Require::Hybrid, &survey(present, others)).unwrap_or_default()
    };
    assert_eq!(breach(Some(true), Some(true)), "");
    assert!(breach(None, None).contains("did not say whether it accepts"));
    assert!(breach(Some(true), None).contains("did not say what a client gets"));
    assert!(breach(Some(false), Some(false)).contains("no hybrid group is accepted"));
    assert!(breach(Some(true), Some(false)).contains("gets a classical one"));
    let cnsa2 = requirement::breach(Require::Cnsa2, &survey(None, None)).unwrap();
    assert!(cnsa2.contains("did not say"), "{cnsa2}");
}

#[test]
fn what_a_baseline_had_and_is_not_known_now_is_said_so() {
    let before = serde_json::to_string(&report_on(survey(Some(true), Some(true)))).unwrap();
    let unsure = serde_json::to_string(&report_on(survey(Some(true), None))).unwrap();
    let lines = |before: &str, others| {
        let now = report_on(survey(Some(true), others));
        baseline(before).unwrap().regressions(&now)
    };
    assert!(lines(&before, Some(true)).is_empty());
    let lost = lines(&before, Some(false));
    assert!(lost.len() == 3 && lost.iter().all(|line| line.ends_with("and is not")));
    let unknown = lines(&before, None);
    assert!(unknown.len() == 3 && unknown.iter().all(|line| line.contains("not known")));
    assert!(lines(&unsure, Some(false)).is_empty());
}
