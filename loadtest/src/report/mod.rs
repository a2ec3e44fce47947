//! Results to text: pure functions. `document` decides what is said and in which order, `summary` says it in one
//! paragraph, `charts` draws it, the Markdown writer here and `hybridge_page` only render.

#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a report is written once; that it reads like the text it makes is worth more than an allocation"
)]

pub mod agreement;
pub mod charts;
pub mod compare;
pub mod csv;
pub mod document;
pub mod figures;
mod headline;
pub mod limit;
pub mod method;
pub mod numbers;
pub mod peers;
mod sides;
pub mod summary;
mod svg;
mod tables;
mod unlike;
pub mod warnings;

use hybridge_page::Node;

use crate::results::Results;

/// The report as one HTML file.
pub fn html(results: &Results) -> String {
    hybridge_page::page(&document::title(results), &document::document(results))
}

/// The report as Markdown; charts stand in the HTML only.
pub fn markdown(results: &Results) -> String {
    render(&document::document(&results.for_markdown()))
}

/// What a terminal shows at the end: what must be known first, the verdict and the paragraph.
pub fn text(results: &Results) -> String {
    let assessed = figures::Assessed::of(results);
    let mut lines = warnings::warnings(results);
    if !peers::is_peer_run(results) {
        lines.push(headline::verdict(&assessed));
    }
    lines.push(summary::paragraph(&assessed));
    lines.join("\n")
}

pub(crate) fn render(nodes: &[Node]) -> String {
    let mut text = String::new();
    for node in nodes {
        match node {
            Node::Heading(level, title) => text += &format!("{} {title}\n\n", "#".repeat(*level)),
            Node::Paragraph(words) => text += &format!("{words}\n\n"),
            Node::Warning(words) => text += &format!("> **Note:** {words}\n\n"),
            Node::List(items) => {
                for item in items {
                    text += &format!("- {item}\n");
                }
                text.push('\n');
            }
            Node::Table { head, rows } | Node::Words { head, rows } => table(&mut text, head, rows),
            Node::Verdict(words) => text += &format!("**{words}**\n\n"),
            Node::Tiles(tiles) => {
                for tile in tiles {
                    text += &format!("- **{}** {} ({})\n", tile.value, tile.label, tile.note);
                }
                text.push('\n');
            }
            Node::Charts(charts) => {
                for (_, caption) in charts {
                    text += &format!("*{caption}: drawn in report.html.*\n\n");
                }
            }
            Node::Code(code) => {
                let fence = fence(code);
                text += &format!("{fence}toml\n{}\n{fence}\n\n", code.trim_end());
            }
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Longer than anything of its kind in the code, which would end the block.
fn fence(code: &str) -> String {
    let runs = code.split(|c| c != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}

fn table(text: &mut String, head: &[String], rows: &[Vec<String>]) {
    let escape = |cell: &String| cell.replace('|', "\\|");
    let line = |cells: &[String]| {
        format!(
            "| {} |\n",
            cells.iter().map(escape).collect::<Vec<_>>().join(" | ")
        )
    };
    *text += &line(head);
    let rule: Vec<_> = (0..head.len())
        .map(|column| if column == 0 { "---" } else { "---:" })
        .collect();
    *text += &format!("| {} |\n", rule.join(" | "));
    for row in rows {
        *text += &line(row);
    }
    text.push('\n');
}
