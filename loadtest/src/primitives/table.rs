//! The cost table as Markdown.

use hybridge_page::Node;

use super::{Figure, Primitives, Row};
use crate::report::numbers::{number, time};
use crate::report::render;

/// Costs of key exchange and of signatures, then sizes.
pub fn markdown(primitives: &Primitives) -> String {
    let machine = &primitives.machine;
    let mut nodes = vec![
        Node::Heading(1, "Cost of the algorithms".into()),
        Node::Paragraph(format!(
            "Measured on {}, Linux {}, one thread, each call timed by itself: median / p99, and calls per second on \
             one core. CPU flags: {}. Tool version {} ({}).",
            machine.cpu,
            machine.kernel,
            machine.cpu_flags.join(" "),
            primitives.version,
            primitives.profile
        )),
    ];
    if primitives.profile == "debug" {
        nodes.push(Node::Warning(
            "Made with a debug build; the figures of pure Rust algorithms mean nothing.".into(),
        ));
    }
    nodes.push(Node::Heading(2, "Key exchange".into()));
    nodes.push(Node::Paragraph(
        "Encapsulation is the server's side: for a group of TLS, key generation and agreement in one. Decapsulation is \
         the client's agreement with the key it has."
            .into(),
    ));
    let exchange = |row: &&Row| row.ciphertext.is_some();
    nodes.push(costs(
        primitives.rows.iter().filter(exchange),
        ["key generation", "encapsulation", "decapsulation"],
        |row| [row.keygen, row.encapsulate, row.decapsulate],
    ));
    nodes.push(Node::Heading(2, "Signatures".into()));
    let signing = |row: &&Row| row.signature.is_some();
    nodes.push(costs(
        primitives.rows.iter().filter(signing),
        ["key generation", "signature", "verification"],
        |row| [row.keygen, row.sign, row.verify],
    ));
    nodes.push(Node::Heading(2, "Sizes in bytes".into()));
    nodes.push(sizes(primitives));
    render(&nodes)
}

fn costs<'a>(
    rows: impl Iterator<Item = &'a Row>,
    names: [&str; 3],
    figures: fn(&Row) -> [Option<Figure>; 3],
) -> Node {
    let mut head = vec![String::new()];
    for name in names {
        head.extend([name.to_owned(), "per second".into()]);
    }
    head.push("implementation".into());
    let rows = rows.map(|row| {
        let mut cells = vec![row.name.clone()];
        for figure in figures(row) {
            cells.extend(figure.map_or(["-".into(), "-".into()], |figure| {
                [
                    format!("{} / {}", time(figure.median_us), time(figure.p99_us)),
                    number(figure.per_second),
                ]
            }));
        }
        cells.push(row.implementation.clone());
        cells
    });
    Node::table(head, rows)
}

fn sizes(primitives: &Primitives) -> Node {
    let cell = |size: Option<usize>| size.map_or_else(|| "-".into(), |size| size.to_string());
    let rows = primitives.rows.iter().map(|row| {
        vec![
            row.name.clone(),
            cell(Some(row.public_key)),
            cell(row.ciphertext),
            cell(row.signature),
        ]
    });
    let head = [
        "",
        "public key or client share",
        "ciphertext or server share",
        "signature",
    ];
    Node::table(head, rows)
}
