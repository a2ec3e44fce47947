//! The report as one HTML file that needs nothing else: offline, light and dark, on paper and on a phone.

use super::document::{document, title};
use super::node::Node;
use super::svg::escape;
use crate::results::Results;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(results: &Results) -> String {
    let title = title(results);
    let body: String = document(results).iter().map(node).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(&title)
    )
}

fn node(node: &Node) -> String {
    match node {
        Node::Heading(level, title) => format!("<h{level}>{}</h{level}>\n", escape(title)),
        Node::Paragraph(words) => format!("<p>{}</p>\n", prose(words)),
        Node::Warning(words) => format!(
            "<p class=\"warning\"><strong>Note:</strong> {}</p>\n",
            prose(words)
        ),
        Node::List(items) => {
            let items: String = items
                .iter()
                .map(|item| format!("<li>{}</li>\n", prose(item)))
                .collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Node::Table { head, rows } => table(head, rows),
        Node::Chart { svg, caption } => {
            format!(
                "<figure>\n{svg}\n<figcaption>{}</figcaption>\n</figure>\n",
                escape(caption)
            )
        }
        Node::Code(code) => {
            format!(
                "<details><summary>Plan file</summary><pre>{}</pre></details>\n",
                escape(code.trim_end())
            )
        }
    }
}

/// Escaped text with `code` spans.
fn prose(words: &str) -> String {
    let parts = escape(words);
    let mut html = String::new();
    for (index, part) in parts.split('`').enumerate() {
        if index % 2 == 1 {
            html += &format!("<code>{part}</code>");
        } else {
            html += part;
        }
    }
    html
}

/// A number and its unit stay on one line, also where the column is narrow.
fn keep_units(words: &str) -> String {
    const UNITS: [&str; 8] = ["%", "B", "KiB", "MiB", "MiB/s", "ms", "s", "us"];
    let mut parts = words.split(' ');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let unit = part.trim_end_matches([',', ';']);
        let glued = UNITS.contains(&unit) && text.ends_with(|last: char| last.is_ascii_digit());
        text.push(if glued { '\u{a0}' } else { ' ' });
        text += part;
    }
    text
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let cells = |tag: &str, cells: &[String]| -> String {
        cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{tag}>", escape(&keep_units(cell))))
            .collect()
    };
    let rows: String = rows
        .iter()
        .map(|row| format!("<tr>{}</tr>\n", cells("td", row)))
        .collect();
    format!(
        "<div class=\"table\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        cells("th", head)
    )
}
