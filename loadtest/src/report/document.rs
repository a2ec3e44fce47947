//! What a report says and in which order: what must be known first, the verdict and three numbers, one row for each kind
//! of work, the charts, then every case, method and limits. Rendering is left to the formats.

use hybridge_page::Node;

use super::figures::{Assessed, AssessedCase, Figure, pairings};
use super::sides::{self, Sides};
use super::{charts, headline, method, peers, summary, tables, warnings};
use crate::plan::Scenario;
use crate::results::Results;
use crate::results::findings::Metric;
use crate::stats::correction;

/// The whole report.
pub fn document(results: &Results) -> Vec<Node> {
    let assessed = Assessed::of(results);
    let mut nodes = vec![Node::Heading(1, title(results))];
    nodes.extend(warnings::warnings(results).into_iter().map(Node::Warning));
    if peers::is_peer_run(results) {
        nodes.push(Node::Paragraph(summary::paragraph(&assessed)));
        nodes.extend(peers::section(results));
        nodes.extend(charts_node(results));
    } else {
        nodes.push(Node::Verdict(headline::verdict(&assessed)));
        nodes.push(Node::Tiles(headline::tiles(&assessed)));
        nodes.push(Node::Heading(2, "At a glance".into()));
        nodes.push(glance(&assessed, &plainest_of_each(&assessed)));
        nodes.extend(charts_node(results));
        nodes.push(Node::Heading(2, "In words".into()));
        nodes.push(Node::Paragraph(summary::paragraph(&assessed)));
    }
    nodes.push(Node::Heading(2, "Every case".into()));
    nodes.push(Node::Paragraph(chance(&assessed)));
    nodes.push(glance(&assessed, &assessed.cases().collect::<Vec<_>>()));
    nodes.extend(skipped(results));
    nodes.push(Node::Heading(2, "Differences, case by case".into()));
    nodes.push(Node::Paragraph(
        "Each row is the mean of paired blocks; in brackets the 95 % confidence interval of the difference by itself."
            .into(),
    ));
    for case in assessed.cases() {
        nodes.extend(case_nodes(results, case));
    }
    nodes.push(Node::Heading(2, "Latency distributions".into()));
    nodes.push(tables::distributions(results));
    nodes.push(Node::Heading(2, "Load on both sides".into()));
    nodes.push(tables::load(results));
    nodes.extend(tables::rounds(results));
    nodes.extend(tables::checks(results));
    nodes.extend(method::method(results));
    nodes
}

/// How many intervals miss by chance, and what was done about it.
fn chance(assessed: &Assessed<'_>) -> String {
    let all = assessed.all().count();
    if all == 0 {
        return "No figure was compared: none was measured on both sides.".into();
    }
    let alone = assessed
        .all()
        .filter(|figure| figure.difference.leaves_out_zero())
        .count();
    let kept = assessed.all().filter(|figure| figure.survives).count();
    format!(
        "{all} figures were compared. Of 95 % intervals about one in twenty leaves out zero by chance alone, {} of {all}; \
         {alone} do here, and {kept} survive the correction for their number ({}). Only those are called a difference \
         above and in this table.",
        (all as f64 / 20.0).round(),
        correction::NAME
    )
}

fn charts_node(results: &Results) -> Vec<Node> {
    let drawn = charts::all(results);
    if drawn.is_empty() {
        return Vec::new();
    }
    vec![Node::Heading(2, "Charts".into()), Node::Charts(drawn)]
}

fn skipped(results: &Results) -> Vec<Node> {
    if results.skipped.is_empty() {
        return Vec::new();
    }
    vec![
        Node::Heading(2, "Not measured".into()),
        Node::List(results.skipped.clone()),
    ]
}

/// The kinds of work of the first table, which leaves room for the charts on the first page.
const FIRST: [Scenario; 10] = [
    Scenario::FullHandshake,
    Scenario::ResumedHandshake,
    Scenario::RequestPerConnection,
    Scenario::H1Keepalive,
    Scenario::H2Keepalive,
    Scenario::GrpcUnary,
    Scenario::TokenStream,
    Scenario::Upload,
    Scenario::Download,
    Scenario::Idle,
];

/// One case of each kind of work; of all there are where none of these was measured.
fn plainest_of_each<'a>(assessed: &'a Assessed<'_>) -> Vec<AssessedCase<'a>> {
    let first: Vec<_> = FIRST
        .into_iter()
        .filter_map(|scenario| headline::plainest(assessed, &Sides::Kinds, scenario))
        .collect();
    if first.is_empty() {
        return assessed.cases().collect();
    }
    first
}

/// One row for each case: the figure it is told by, server CPU and bytes.
fn glance(assessed: &Assessed<'_>, cases: &[AssessedCase<'_>]) -> Node {
    // With one pair a case, a hybrid group beside a classical one, roles say enough.
    let are_peers = peers::is_peer_run(assessed.results);
    let named = are_peers || Sides::all(assessed.results) != [Sides::Kinds];
    let mut rows = Vec::new();
    for case in cases {
        for pairing in pairings(assessed.results, case.measured) {
            let metrics = Metric::for_scenario(case.measured.case.scenario);
            let words = |metric| {
                case.find(&pairing, metric)
                    .map_or("-".into(), Figure::called_cell)
            };
            let Some(first) = metrics
                .first()
                .and_then(|metric| case.find(&pairing, *metric))
            else {
                continue;
            };
            let level = |name: &str, level: f64| {
                let cell = first.level_cell(level);
                if named {
                    format!("{name}: {cell}")
                } else {
                    cell
                }
            };
            let cpu = [
                Metric::ServerCpuPerToken,
                Metric::ServerCpuPerGib,
                Metric::ServerCpu,
            ];
            let cpu = cpu.into_iter().find(|metric| metrics.contains(metric));
            rows.push(vec![
                case.measured.case.title(),
                first.metric.title().to_owned(),
                level(&pairing.baseline, first.baseline.mean),
                level(&pairing.subject, first.subject.mean),
                first.called_cell(),
                cpu.map_or_else(|| "-".into(), words),
                if metrics.len() > 1 {
                    words(Metric::Wire)
                } else {
                    "-".into()
                },
            ]);
        }
    }
    let head = [
        "case",
        "figure",
        if named { "baseline" } else { "classical" },
        if named { "subject" } else { "hybrid" },
        "difference",
        "server CPU",
        "bytes on the wire",
    ];
    Node::table(head, rows)
}

/// The report's title.
pub fn title(results: &Results) -> String {
    let plan = &results.provenance.plan_name;
    if peers::has_several_baselines(results) {
        return format!("Beside other proxies: {plan}");
    }
    if peers::is_peer_run(results) {
        return format!("Servers side by side: {plan}");
    }
    if !sides::are_kinds(results) {
        return format!("Key exchanges side by side: {plan}");
    }
    format!("What hybrid costs: {plan}")
}

fn case_nodes(results: &Results, case: AssessedCase<'_>) -> Vec<Node> {
    let mut nodes = vec![Node::Heading(3, case.measured.case.title())];
    let pairings = pairings(results, case.measured);
    let several = pairings.len() > 1;
    for pairing in pairings {
        let mut rows = Vec::new();
        for figure in case.figures.iter().filter(|figure| figure.names == pairing) {
            rows.push(vec![
                figure.metric.title().to_owned(),
                figure.level_cell(figure.baseline.mean),
                figure.level_cell(figure.subject.mean),
                figure.difference_cell(),
                figure.own_cell(),
                figure.difference.n.to_string(),
            ]);
        }
        let (baseline, subject) = (&pairing.baseline, &pairing.subject);
        if several {
            nodes.push(Node::Paragraph(format!("{subject} against {baseline}:")));
        }
        let head = [
            "figure",
            baseline,
            subject,
            "difference",
            "in words",
            "pairs",
        ];
        nodes.push(Node::table(head, rows));
    }
    nodes
}
