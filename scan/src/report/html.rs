//! The report as one HTML file: the verdict, what to do first, every endpoint, the dates.

use hybridge_page::{Node, Tile};

use crate::certificates::Place;
use crate::report::advice::span;
use crate::report::table::{UNREADABLE, date, groups, meanings};
use crate::report::{Endpoint, Report};
use crate::survey::Survey;

const TITLE: &str = "TLS inventory";

/// Writes it.
pub fn page(report: &Report) -> String {
    let mut nodes = vec![
        Node::Heading(1, TITLE.into()),
        Node::Verdict(verdict(report)),
        Node::Tiles(tiles(report)),
    ];
    nodes.extend(first(report));
    nodes.push(Node::Heading(2, "Endpoints".into()));
    nodes.push(words(
        &[
            "endpoint",
            "hybrid",
            "groups",
            "TLS",
            "certificate",
            "notes",
        ],
        report.endpoints.iter().filter_map(examined).collect(),
    ));
    let unreachable: Vec<_> = report.endpoints.iter().filter_map(not_examined).collect();
    if !unreachable.is_empty() {
        nodes.push(Node::Heading(2, "Not examined".into()));
        nodes.push(words(&["endpoint", "reason"], unreachable));
    }
    if !report.not_tried.is_empty() {
        nodes.push(Node::Heading(2, "Not tried".into()));
        nodes.push(Node::List(report.not_tried.clone()));
    }
    nodes.push(Node::Heading(2, "Dates".into()));
    let dates = report.dates.iter();
    let dates = dates.map(|date| vec![date.source.to_owned(), date.asks.to_owned()]);
    nodes.push(words(&["source", "what it asks for"], dates.collect()));
    nodes.extend(method(report));
    hybridge_page::page(TITLE, &nodes)
}

fn words(head: &[&str], rows: Vec<Vec<String>>) -> Node {
    Node::Words {
        head: head.iter().map(ToString::to_string).collect(),
        rows,
    }
}

fn verdict(report: &Report) -> String {
    let all = report.totals.examined;
    let examined = report.endpoints.iter();
    let examined = examined.filter_map(|endpoint| endpoint.outcome.as_ref().ok());
    let classical = examined.filter(|survey| survey.is_classical()).count();
    let years = report.assumptions.keep_secret_years;
    let mut lifetimes = report.lifetimes.iter();
    let exposed = lifetimes.any(|of| of.keep_secret_years == years && of.exposed);
    if all == 0 {
        return "No endpoint could be examined.".to_owned();
    }
    let said = format!("{classical} of {all} endpoints accept classical key exchange only");
    if exposed && classical > 0 {
        format!(
            "{said}: what is recorded of them today is exposed if it must stay secret for {}.",
            span(years)
        )
    } else {
        format!("{said}.")
    }
}

fn tiles(report: &Report) -> Vec<Tile> {
    let totals = report.totals;
    let tile = |value: usize, label: &str, note: String| Tile {
        label: label.to_owned(),
        value: value.to_string(),
        note,
    };
    vec![
        tile(
            totals.preferred,
            "prefer a hybrid group",
            format!(
                "of {} examined; {} accept one",
                totals.examined, totals.present
            ),
        ),
        tile(
            totals.enforced,
            "enforce it",
            "nothing classical is accepted, TLS 1.2 and older included".to_owned(),
        ),
        tile(
            totals.ml_dsa,
            "have a certificate with ML-DSA",
            "for clients that verify nothing else".to_owned(),
        ),
    ]
}

/// What to do first, and what that rests on.
fn first(report: &Report) -> Vec<Node> {
    let mut nodes = vec![Node::Heading(2, "What to do first".into())];
    if report.advice.is_empty() {
        nodes.push(Node::Paragraph("Nothing was found that is missing.".into()));
    } else {
        let rows = report.advice.iter().map(|advice| {
            vec![
                advice.what.to_owned(),
                advice.because.clone(),
                advice.endpoints.join(", "),
            ]
        });
        nodes.push(words(&["what", "because", "where"], rows.collect()));
    }
    let assumptions = report.assumptions;
    nodes.push(Node::Heading(3, "By the lifetime of the data".into()));
    nodes.push(Node::Paragraph(format!(
        "Assumed: the migration takes {}, and classical key exchange is broken by {}. Nobody knows the \
         latter; `--migration` and `--quantum-by` set both. Traffic that is recorded before the migration is \
         complete can be read then.",
        span(assumptions.migration_years),
        assumptions.quantum_by
    )));
    let rows = report.lifetimes.iter().map(|of| {
        let given = if of.keep_secret_years == assumptions.keep_secret_years {
            " (given)"
        } else {
            ""
        };
        vec![
            format!("{}{given}", span(of.keep_secret_years)),
            of.begin_by.to_string(),
            if of.exposed { "exposed" } else { "in time" }.to_owned(),
        ]
    });
    let head = [
        "must stay secret for",
        "migration begins by",
        "recorded today",
    ];
    nodes.push(words(&head, rows.collect()));
    nodes
}

fn examined(endpoint: &Endpoint) -> Option<Vec<String>> {
    let survey = endpoint.outcome.as_ref().ok()?;
    Some(vec![
        endpoint.target.clone(),
        meanings(survey),
        groups(survey, "not known"),
        survey.versions.join(", "),
        certificate(survey),
        notes(survey),
    ])
}

fn certificate(survey: &Survey) -> String {
    let certificates = &survey.certificates;
    let mut said = match certificates.leaf() {
        Some(leaf) => format!(
            "{}, {}, until {}",
            leaf.subject,
            leaf.key,
            date(leaf.not_after)
        ),
        None if certificates.is_unreadable(Place::Leaf) => UNREADABLE.to_owned(),
        None => return "not seen".to_owned(),
    };
    if certificates.ml_dsa.is_some() {
        said += "; ML-DSA for clients that ask for it";
    }
    said
}

fn notes(survey: &Survey) -> String {
    let mut notes = survey.notes.clone();
    if survey.certificates.asks_client {
        notes.push("clients are asked for a certificate".to_owned());
    }
    notes.extend(
        survey
            .doctor
            .as_ref()
            .map(|doctor| doctor.verdict.to_string()),
    );
    if notes.is_empty() {
        return "-".to_owned();
    }
    notes.join("; ")
}

fn not_examined(endpoint: &Endpoint) -> Option<Vec<String>> {
    let reason = endpoint.outcome.as_ref().err()?;
    Some(vec![endpoint.target.clone(), reason.text().to_owned()])
}

fn method(report: &Report) -> Vec<Node> {
    vec![
        Node::Heading(2, "Method".into()),
        Node::List(vec![
            format!("Made by hybridge {} on {}.", report.version, date(report.at.cast_signed())),
            "Groups were asked for with ClientHellos without a key share; the HelloRetryRequest names the server's choice.".into(),
            "Preferred: chosen although the client lists classical groups first. Held: asked for although the client has sent a classical share. Enforced: no classical group of those that were asked for is accepted, TLS 1.2 to 1.0 included, and every question was answered. SSL 3.0 and older were not asked for.".into(),
            "Certificates are shown, not verified. No request was sent. There is no score.".into(),
        ]),
    ]
}
