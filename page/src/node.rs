//! The pieces a report is made of, whatever the format.

/// A piece of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A title and its level, 1 the highest.
    Heading(usize, String),
    /// Text; what stands between backticks is code.
    Paragraph(String),
    /// What must be known before the rest is read.
    Warning(String),
    /// The run in one sentence.
    Verdict(String),
    /// The figures to take away, in large type.
    Tiles(Vec<Tile>),
    /// Charts side by side where there is room.
    Charts(Vec<(String, String)>),
    /// Points.
    List(Vec<String>),
    /// Figures under the names of their columns.
    Table {
        /// The names of the columns.
        head: Vec<String>,
        /// Each as long as the head.
        rows: Vec<Vec<String>>,
    },
    /// The same for words, which begin at the left.
    Words {
        /// The names of the columns.
        head: Vec<String>,
        /// Each as long as the head.
        rows: Vec<Vec<String>>,
    },
    /// A file as it is.
    Code(String),
}

impl Node {
    /// A table of these columns.
    pub fn table(
        head: impl IntoIterator<Item = impl Into<String>>,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        Self::Table {
            head: head.into_iter().map(Into::into).collect(),
            rows: rows.into_iter().collect(),
        }
    }
}

/// One large number: what of, how much, and how sure.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// What of.
    pub label: String,
    /// How much.
    pub value: String,
    /// How sure, or in which sense.
    pub note: String,
}
