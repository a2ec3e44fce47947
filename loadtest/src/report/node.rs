//! The pieces a report is made of, whatever the format.

/// A piece of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Heading(usize, String),
    Paragraph(String),
    Warning(String),
    /// The run in one sentence.
    Verdict(String),
    /// The figures to take away, in large type.
    Tiles(Vec<Tile>),
    /// Charts side by side where there is room.
    Charts(Vec<(String, String)>),
    List(Vec<String>),
    Table {
        head: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    Code(String),
}

/// One large number: what of, how much, and how sure.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    pub label: String,
    pub value: String,
    pub note: String,
}
