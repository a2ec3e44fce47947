//! What a scan found, as one value; schema `hybridge-scan/1`. Tables and bills are written from it.

pub mod cbom;
pub mod requirement;
pub mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::args::ScanArgs;
use crate::dial::Unreachable;
use crate::groups;
use crate::oids::is_post_quantum;
use crate::survey::Survey;

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
    /// With a certificate for clients with ML-DSA alone.
    pub ml_dsa: usize,
}

/// The assumptions behind "exposed today", which nobody knows better than the reader.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Assumptions {
    /// Years for which traffic must stay secret.
    pub keep_secret_years: u16,
    /// Years that the migration takes.
    pub migration_years: u16,
    /// When classical key exchange is broken.
    pub quantum_by: u16,
}

/// One thing to do, the most urgent first.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    /// What.
    pub what: &'static str,
    /// The rule that made it.
    pub because: String,
    /// Where.
    pub endpoints: Vec<String>,
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
    /// The counts.
    pub totals: Totals,
    /// What the advice rests on.
    pub assumptions: Assumptions,
    /// What to do first.
    pub advice: Vec<Advice>,
    /// In the order given.
    pub endpoints: Vec<Endpoint>,
    /// What was given and not tried, with the reason.
    pub not_tried: Vec<String>,
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
            present: count(|survey| survey.hybrid.present),
            preferred: count(|survey| survey.hybrid.preferred),
            held: count(|survey| survey.hybrid.held),
            enforced: count(|survey| survey.hybrid.enforced),
            ml_dsa: count(|survey| survey.certificates.ml_dsa.is_some()),
        };
        let assumptions = Assumptions {
            keep_secret_years: args.keep_secret,
            migration_years: args.migration,
            quantum_by: args.quantum_by,
        };
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            at,
            totals,
            assumptions,
            advice: advice(&endpoints, assumptions, at),
            endpoints,
            not_tried,
        }
    }
}

/// What to do, why, and whether an endpoint needs it.
type Rule = (&'static str, String, fn(&Survey) -> bool);

/// Mosca's inequality: what must stay secret for X years while the migration takes Y is exposed today if
/// X + Y is more than the years until a quantum computer.
fn advice(endpoints: &[Endpoint], assumptions: Assumptions, at: u64) -> Vec<Advice> {
    let year = 1970 + at / 31_556_952;
    let until = u64::from(assumptions.quantum_by).saturating_sub(year);
    let needed = u64::from(assumptions.keep_secret_years) + u64::from(assumptions.migration_years);
    let exposed = needed > until;
    let rule = format!(
        "{} years secret + {} years of migration {} {until} years until {}",
        assumptions.keep_secret_years,
        assumptions.migration_years,
        if exposed { ">" } else { "<=" },
        assumptions.quantum_by
    );
    let rows: [Rule; 5] = [
        (
            if exposed {
                "Give these a hybrid group: what is recorded today is exposed"
            } else {
                "Give these a hybrid group"
            },
            format!("no hybrid group is accepted; {rule}"),
            |survey| {
                let mut groups = survey.groups.iter();
                survey.complete && !groups.any(|group| groups::is_protected(group.number))
            },
        ),
        (
            "Prefer the hybrid group on the server",
            "a client that lists classical groups first gets a classical one".to_owned(),
            |survey| survey.hybrid.present && !survey.hybrid.preferred,
        ),
        (
            "Ask for the hybrid group with a HelloRetryRequest",
            "a client that lists it but sends a classical share stays classical".to_owned(),
            |survey| survey.hybrid.preferred && !survey.hybrid.held,
        ),
        (
            "Turn TLS 1.2 and older off",
            "no version before TLS 1.3 has hybrid key exchange".to_owned(),
            |survey| survey.hybrid.present && survey.versions.iter().any(|v| *v != "1.3"),
        ),
        (
            "Plan certificates that outlive ECDSA and RSA",
            "no certificate for clients with ML-DSA; forged signatures need a quantum computer at the time of the connection, so this comes after key exchange".to_owned(),
            |survey| {
                let leaf = survey.certificates.chain.first();
                survey.certificates.ml_dsa.is_none()
                    && leaf.is_some_and(|leaf| !is_post_quantum(&leaf.key))
            },
        ),
    ];
    let of = |is: fn(&Survey) -> bool| -> Vec<String> {
        let matching = endpoints
            .iter()
            .filter(|e| e.outcome.as_ref().is_ok_and(is));
        matching.map(|endpoint| endpoint.target.clone()).collect()
    };
    let rows = rows.into_iter().map(|(what, because, is)| Advice {
        what,
        because,
        endpoints: of(is),
    });
    rows.filter(|advice| !advice.endpoints.is_empty()).collect()
}

/// An earlier report, as far as it is compared.
#[derive(Debug)]
pub struct Baseline(BTreeMap<String, Before>);

#[derive(Debug, Default, Deserialize)]
struct Before {
    #[serde(default)]
    hybrid: BTreeMap<String, bool>,
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
    let rows = file
        .endpoints
        .into_iter()
        .map(|row| (row.target, row.before));
    Ok(Baseline(rows.collect()))
}

impl Baseline {
    /// What is worse now, a line each. An endpoint that is new or could not be examined before is none.
    pub fn regressions(&self, report: &Report) -> Vec<String> {
        let mut worse = Vec::new();
        for endpoint in &report.endpoints {
            let Some(before) = self.0.get(&endpoint.target) else {
                continue;
            };
            let Ok(now) = &endpoint.outcome else { continue };
            if before.unreachable.is_some() {
                continue;
            }
            let hybrid = now.hybrid;
            for (name, is) in [
                ("present", hybrid.present),
                ("preferred", hybrid.preferred),
                ("held", hybrid.held),
                ("enforced", hybrid.enforced),
            ] {
                if before.hybrid.get(name) == Some(&true) && !is {
                    worse.push(format!("{}: hybrid was {name} and is not", endpoint.target));
                }
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
