//! Reports as one HTML file that needs nothing else: the load test's and the scan's.

mod html;
mod node;
mod printable;

pub use html::{escape, page};
pub use node::{Node, Tile};
pub use printable::{is_printable, printable, printable_json};
