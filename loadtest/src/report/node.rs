//! The pieces a report is made of, whatever the format.

/// A piece of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Heading(usize, String),
    Paragraph(String),
    Warning(String),
    List(Vec<String>),
    Table {
        head: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    Chart {
        svg: String,
        caption: String,
    },
    Code(String),
}
