//! What a scan found, as one value; schema `hybridge-scan/1`. Tables and bills are written from it.

mod advice;
pub mod cbom;
mod dates;
pub mod html;
pub mod requirement;
pub mod table;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize, Serializer};

use crate::args::ScanArgs;
use crate::dial::Unreachable;
use crate::moment::rfc3339;
use crate::printable::printable;
pub use crate::report::advice::{Advice, Assumptions, Lifetime};
pub use crate::report::dates::{DATES, Date};
use crate::survey::{Hybrid, Survey};

/// The name and version of the schema.
pub const SCHEMA: &str = "hybridge-scan/1";

/// One endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// As it was given.
    pub target: String,
    /// What was found, or why it was not examined.
    pub outcome: Result<Survey, Unreachable>,
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            target: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            unreachable: Option<Unreachable>,
            #[serde(flatten)]
            survey: Option<&'a Survey>,
        }
        let row = Row {
            target: &self.target,
            unreachable: self.outcome.as_ref().err().copied(),
            survey: self.outcome.as_ref().ok(),
        };
        row.serialize(serializer)
    }
}

/// How many endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Given.
    pub endpoints: usize,
    /// Examined.
    pub examined: usize,
    /// With hybrid groups.
    pub present: usize,
    /// Hybrid although the client lists classical groups first.
    pub preferred: usize,
    /// Hybrid although the client sent a classical share.
    pub held: usize,
    /// Nothing classical.
    pub enforced: usize,
    /// With a certificate for clients with ML-DSA only.
    pub ml_dsa: usize,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Version of the tool.
    pub version: &'static str,
    /// When, in seconds since 1970.
    pub at: u64,
    /// The same by RFC 3339.
    pub at_time: String,
    /// The counts.
    pub totals: Totals,
    /// What the advice rests on.
    pub assumptions: Assumptions,
    /// What that means for traffic of other lifetimes.
    pub lifetimes: Vec<Lifetime>,
    /// What to do first.
    pub advice: Vec<Advice>,
    /// In the order given.
    pub endpoints: Vec<Endpoint>,
    /// What was given and not tried, with the reason.
    pub not_tried: Vec<String>,
    /// What government agencies ask for, and by when.
    pub dates: &'static [Date],
}

impl Report {
    /// The report on these endpoints at a moment, in seconds since 1970.
    pub fn new(endpoints: Vec<Endpoint>, not_tried: Vec<String>, at: u64, args: &ScanArgs) -> Self {
        let surveys = || {
            endpoints
                .iter()
                .filter_map(|endpoint| endpoint.outcome.as_ref().ok())
        };
        let count = |is: fn(&Survey) -> bool| surveys().filter(|survey| is(survey)).count();
        let totals = Totals {
            endpoints: endpoints.len(),
            examined: surveys().count(),
            present: count(|survey| survey.hybrid.present == Some(true)),
            preferred: count(|survey| survey.hybrid.preferred == Some(true)),
            held: count(|survey| survey.hybrid.held == Some(true)),
            enforced: count(|survey| survey.hybrid.enforced == Some(true)),
            ml_dsa: count(|survey| survey.certificates.ml_dsa.is_some()),
        };
        let assumptions = Assumptions::new(args, at);
        let examined = endpoints.iter();
        let examined = examined.filter_map(|endpoint| {
            let survey = endpoint.outcome.as_ref().ok()?;
            Some((endpoint.target.as_str(), survey))
        });
        let advice = advice::advice(&examined.collect::<Vec<_>>(), assumptions);
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            at,
            at_time: rfc3339(at.cast_signed()),
            totals,
            assumptions,
            lifetimes: assumptions.lifetimes(),
            advice,
            endpoints,
            not_tried,
            dates: &DATES,
        }
    }
}

/// An earlier report, as far as it is compared.
#[derive(Debug)]
pub struct Baseline(BTreeMap<String, Before>);

#[derive(Debug, Default, Deserialize)]
struct Before {
    hybrid: Option<Hybrid>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    unreachable: Option<String>,
}

/// Reads a JSON report.
pub fn baseline(text: &str) -> Result<Baseline, String> {
    #[derive(Deserialize)]
    struct Row {
        target: String,
        #[serde(flatten)]
        before: Before,
    }
    #[derive(Deserialize)]
    struct File {
        schema: String,
        endpoints: Vec<Row>,
    }
    let file: File = serde_json::from_str(text)
        .map_err(|error| format!("no JSON report of `hybridge scan`: line {}", error.line()))?;
    if file.schema != SCHEMA {
        return Err(format!("its schema is not {SCHEMA}"));
    }
    if file.endpoints.is_empty() {
        return Err("it has no endpoint to compare with".to_owned());
    }
    let examined = |before: &Before| before.hybrid.is_some() || before.unreachable.is_some();
    if let Some(number) = file.endpoints.iter().position(|row| !examined(&row.before)) {
        return Err(format!(
            "endpoint {}: neither `hybrid` nor `unreachable` is there",
            number + 1
        ));
    }
    let mut rows = BTreeMap::new();
    for (index, row) in file.endpoints.into_iter().enumerate() {
        let target = row.target.to_ascii_lowercase();
        // The later would hide what the earlier demands.
        if rows.insert(target, row.before).is_some() {
            let number = index + 1;
            return Err(format!("endpoint {number}: an earlier one has its target"));
        }
    }
    Ok(Baseline(rows))
}

impl Baseline {
    /// What is worse now, a line each. An endpoint that is new or could not be examined before is none; one
    /// that is missing now is.
    pub fn regressions(&self, report: &Report) -> Vec<String> {
        let endpoints = report.endpoints.iter();
        let scanned: HashSet<_> = endpoints.map(|endpoint| &endpoint.target).collect();
        let missing = self.0.keys().filter(|target| !scanned.contains(target));
        let mut worse: Vec<_> = missing
            .map(|target| format!("{}: in the baseline, and not scanned", printable(target)))
            .collect();
        for endpoint in &report.endpoints {
            let Some(before) = self.0.get(&endpoint.target) else {
                continue;
            };
            let Ok(now) = &endpoint.outcome else { continue };
            if before.unreachable.is_some() {
                continue;
            }
            let Some(had) = before.hybrid else { continue };
            let meanings = had.meanings().into_iter();
            for ((name, had), (_, is)) in meanings.zip(now.hybrid.meanings()) {
                if had != Some(true) {
                    continue;
                }
                let now = match is {
                    Some(true) => continue,
                    Some(false) => "is not",
                    // What was not said is not said to be worse, and does not pass for as good.
                    None => "now that is not known, see the notes",
                };
                worse.push(format!("{}: hybrid was {name} and {now}", endpoint.target));
            }
            for version in &now.versions {
                let old = before.versions.iter().any(|known| known == version);
                if *version != "1.3" && !old {
                    worse.push(format!("{}: accepts TLS {version} now", endpoint.target));
                }
            }
        }
        worse
    }
}

#[cfg(test)]
mod tests;
