//! `--require`: what an endpoint lacks, in words.

use crate::args::Require;
use crate::groups;
use crate::survey::Survey;

/// What an endpoint lacks; `None` if it meets the requirement.
pub fn breach(require: Require, survey: &Survey) -> Option<String> {
    match require {
        Require::Hybrid => not_hybrid(survey).map(str::to_owned),
        Require::Enforced => (survey.hybrid.enforced != Some(true)).then(|| not_enforced(survey)),
        Require::Cnsa2 => cnsa2(survey),
    }
}

/// What is not known is no breach that was seen, and does not meet a requirement either.
fn not_hybrid(survey: &Survey) -> Option<&'static str> {
    let hybrid = survey.hybrid;
    match (hybrid.present, hybrid.preferred) {
        (Some(false), _) if hybrid.enforced == Some(true) => Some(
            "no hybrid group is accepted, only post-quantum ones (--require enforced admits them)",
        ),
        (Some(false), _) => Some("no hybrid group is accepted"),
        (None, _) => {
            Some("the server did not say whether it accepts a hybrid group: see the notes")
        }
        (Some(true), Some(true)) => None,
        (Some(true), Some(false)) => {
            Some("a client that lists classical groups first gets a classical one")
        }
        (Some(true), None) => Some(
            "the server did not say what a client gets that lists classical groups first: see the notes",
        ),
    }
}

fn not_enforced(survey: &Survey) -> String {
    let classical = survey.groups.iter();
    let classical: Vec<_> = classical
        .filter(|group| !groups::is_protected(group.number))
        .map(|group| group.name.as_str())
        .collect();
    let old = before_13(survey);
    match (classical.is_empty(), old.is_empty()) {
        (false, _) => format!("classical groups are accepted: {}", classical.join(", ")),
        (true, false) => format!("TLS {} is accepted", old.join(", ")),
        (true, true) => "the server left a question without an answer: see the notes".to_owned(),
    }
}

fn before_13(survey: &Survey) -> Vec<&'static str> {
    let versions = survey.versions.iter().copied();
    versions.filter(|version| *version != "1.3").collect()
}

/// ML-KEM-1024 (CNSA 2.0 FAQ 2.1, December 2024): X25519MLKEM768 does not satisfy it.
fn cnsa2(survey: &Survey) -> Option<String> {
    let has = |name: &str| survey.groups.iter().any(|group| group.name == name);
    if survey.complete && !has("SecP384r1MLKEM1024") && !has("MLKEM1024") {
        return Some("no group with ML-KEM-1024 is accepted (CNSA 2.0)".to_owned());
    }
    let others: Vec<&str> = survey
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .filter(|name| !matches!(*name, "SecP384r1MLKEM1024" | "MLKEM1024"))
        .collect();
    if !others.is_empty() {
        return Some(format!(
            "groups without ML-KEM-1024 are accepted too: {} (CNSA 2.0)",
            others.join(", ")
        ));
    }
    if !survey.complete {
        return Some("the server did not say whether it accepts other groups".to_owned());
    }
    (survey.hybrid.enforced != Some(true)).then(|| not_enforced(survey))
}
