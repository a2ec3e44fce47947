//! The report for people: a row an endpoint, then what to do first.

use std::io::{self, Write};

use crate::certificates::{Certificates, Place};
use crate::report::{Endpoint, Report};
use crate::survey::{Order, Survey};

/// What stands for a certificate that was sent and says nothing.
pub(crate) const UNREADABLE: &str = "cannot be read, see the note";

/// Writes it.
pub fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for endpoint in &report.endpoints {
        block(endpoint, out)?;
    }
    let totals = report.totals;
    writeln!(
        out,
        "{} {}, {} examined. Hybrid: {} present, {} preferred, {} held, {} enforced. ML-DSA certificate: {}.",
        totals.endpoints,
        if totals.endpoints == 1 {
            "endpoint"
        } else {
            "endpoints"
        },
        totals.examined,
        totals.present,
        totals.preferred,
        totals.held,
        totals.enforced,
        totals.ml_dsa
    )?;
    for line in &report.not_tried {
        writeln!(out, "not tried: {line}")?;
    }
    if !report.advice.is_empty() {
        writeln!(out, "\nWhat to do first")?;
    }
    for (number, advice) in (1..).zip(&report.advice) {
        writeln!(out, "{number}. {} ({})", advice.what, advice.because)?;
        writeln!(out, "   {}", some_of(&advice.endpoints))?;
    }
    Ok(())
}

fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

fn block(endpoint: &Endpoint, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", endpoint.target)?;
    match &endpoint.outcome {
        Err(reason) => writeln!(out, "  not examined  {}\n", reason.text()),
        Ok(survey) => examined(survey, out),
    }
}

fn examined(survey: &Survey, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  hybrid        {}", meanings(survey))?;
    let groups = groups(survey, "not known, see the note");
    writeln!(out, "  groups        {groups}")?;
    if survey.versions.is_empty() {
        writeln!(out, "  versions      none of those that are asked for")?;
    } else {
        writeln!(out, "  versions      TLS {}", survey.versions.join(", "))?;
    }
    let certificates = &survey.certificates;
    if certificates.is_unreadable(Place::Leaf) {
        writeln!(out, "  certificate   {UNREADABLE}")?;
    }
    if let Some(leaf) = certificates.leaf() {
        let scheme = certificates.scheme.as_deref().unwrap_or("none");
        writeln!(
            out,
            "  certificate   {}, {}, signed with {scheme}, until {}",
            leaf.subject,
            leaf.key,
            date(leaf.not_after)
        )?;
        for issuer in certificates.chain.iter().skip(1) {
            writeln!(out, "                {}, {}", issuer.subject, issuer.key)?;
        }
    }
    if !certificates.are_unseen() {
        writeln!(out, "  ML-DSA ready  {}", ready(certificates))?;
    }
    if certificates.asks_client {
        writeln!(out, "  clients       are asked for a certificate")?;
    }
    if let Some(doctor) = &survey.doctor {
        writeln!(out, "  doctor        {}", doctor.verdict)?;
        for trial in doctor.trials.iter().filter(|trial| !trial.passed) {
            writeln!(out, "                failed: a hello {}", trial.sent)?;
        }
    }
    for note in &survey.notes {
        writeln!(out, "  note          {note}")?;
    }
    writeln!(out)
}

/// Whether clients with ML-DSA only have a certificate.
fn ready(certificates: &Certificates) -> &'static str {
    match &certificates.ml_dsa {
        Some(_) => "yes",
        None if certificates.may_have(Place::MlDsa) => "not known, see the note",
        None => "no",
    }
}

/// The groups in their order, and whose that is.
pub(crate) fn groups(survey: &Survey, unknown: &str) -> String {
    let names = survey.groups.iter().map(|group| group.name.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    match survey.order {
        _ if names.is_empty() && survey.complete => "none: TLS 1.3 is not accepted".to_owned(),
        _ if names.is_empty() => unknown.to_owned(),
        Order::Server => format!("{names} (the server's order)"),
        Order::Client => format!("{names} (the client's order decides)"),
        Order::Unknown => names,
    }
}

/// The day of a moment in seconds since 1970.
pub(crate) fn date(seconds: i64) -> String {
    match time::OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(at) => at.date().to_string(),
        Err(_) => "an impossible date".to_owned(),
    }
}

/// Which of the four meanings hold.
pub(crate) fn meanings(survey: &Survey) -> String {
    let hybrid = survey.hybrid;
    if hybrid.present == Some(true) {
        let [_, rest @ ..] = hybrid.meanings();
        let rest = rest.map(|(name, is)| match is {
            Some(true) => name.to_owned(),
            Some(false) => format!("not {name}"),
            None => format!("{name} not known"),
        });
        return format!("present, {}", rest.join(", "));
    }
    let meaning = if hybrid.enforced == Some(true) {
        "missing: only post-quantum groups are accepted"
    } else if hybrid.present == Some(false) {
        "missing"
    } else {
        "not known"
    };
    meaning.to_owned()
}
