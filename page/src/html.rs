//! The report as one HTML file that needs nothing else: offline, light and dark, on paper and on a phone.

#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a report is written once; that it reads like the text it makes is worth more than an allocation"
)]

use crate::node::{Node, Tile};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(title: &str, nodes: &[Node]) -> String {
    let body: String = nodes.iter().map(node).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(title)
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
        Node::Table { head, rows } => table("<table>", head, rows),
        Node::Words { head, rows } => table("<table class=\"words\">", head, rows),
        Node::Verdict(words) => format!("<p class=\"verdict\">{}</p>\n", prose(words)),
        Node::Tiles(tiles) => {
            let tiles: String = tiles.iter().map(tile).collect();
            format!("<div class=\"tiles\">\n{tiles}</div>\n")
        }
        Node::Charts(charts) => {
            let charts: String = charts
                .iter()
                .map(|(svg, caption)| {
                    format!(
                        "<figure>\n{svg}\n<figcaption>{}</figcaption>\n</figure>\n",
                        escape(caption)
                    )
                })
                .collect();
            format!("<div class=\"charts\">\n{charts}</div>\n")
        }
        Node::Code(code) => {
            format!(
                "<details><summary>Plan file</summary><pre>{}</pre></details>\n",
                escape(code.trim_end())
            )
        }
    }
}

fn tile(tile: &Tile) -> String {
    format!(
        "<div class=\"tile\"><div class=\"value\">{}</div><div>{}</div><div class=\"note\">{}</div></div>\n",
        escape(&keep_units(&tile.value)),
        escape(&tile.label),
        escape(&keep_units(&tile.note))
    )
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
    const UNITS: [&str; 8] = ["%", "B", "KiB", "MiB", "MiB/s", "ms", "s", "µs"];
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

/// Each cell carries its column's name, which a narrow window shows beside it: there a row is a block of lines.
fn table(opening: &str, head: &[String], rows: &[Vec<String>]) -> String {
    let heads: String = head
        .iter()
        .map(|cell| format!("<th>{}</th>", escape(cell)))
        .collect();
    let cell = |(name, cell): (&String, &String)| {
        format!(
            "<td data-label=\"{}\">{}</td>",
            escape(name),
            escape(&keep_units(cell))
        )
    };
    let rows: String = rows
        .iter()
        .map(|row| {
            let cells: String = head.iter().zip(row).map(cell).collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!("{opening}\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
}

/// Text safe inside XML and HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
