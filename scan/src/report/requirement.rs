//! `--require`: what an endpoint lacks, in words.

use crate::args::Require;
use crate::survey::Survey;

/// What an endpoint lacks; `None` if it meets the requirement.
pub fn breach(require: Require, survey: &Survey) -> Option<String> {
    match require {
        Require::Hybrid => {
            if !survey.hybrid.present {
                return Some("no hybrid group is accepted".to_owned());
            }
            (!survey.hybrid.preferred).then(|| {
                "a client that lists classical groups first gets a classical one".to_owned()
            })
        }
        Require::Enforced => (!survey.hybrid.enforced).then(|| {
            "classical key exchange is accepted, or the server left a question without an answer"
                .to_owned()
        }),
        Require::Cnsa2 => cnsa2(survey),
    }
}

/// ML-KEM-1024 (CNSA 2.0 FAQ 2.1, December 2024): X25519MLKEM768 does not satisfy it.
fn cnsa2(survey: &Survey) -> Option<String> {
    let has = |name: &str| survey.groups.iter().any(|group| group.name == name);
    if !has("SecP384r1MLKEM1024") && !has("MLKEM1024") {
        return Some("no group with ML-KEM-1024 is accepted (CNSA 2.0)".to_owned());
    }
    if !survey.complete {
        return Some("the server did not say whether it accepts other groups".to_owned());
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
    let old: Vec<&str> = survey
        .versions
        .iter()
        .copied()
        .filter(|v| *v != "1.3")
        .collect();
    (!old.is_empty()).then(|| format!("TLS {} is accepted", old.join(", ")))
}
