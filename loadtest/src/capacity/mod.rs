//! What a fleet of proxies needs, from a result file: a linear model of the measured costs, and nothing that was not
//! measured. `costs` reads them, `model` multiplies, `text` writes the answer, `missing` what no case says, `agreement` holds the
//! model against other servers of the same file.

pub mod agreement;
pub mod costs;
mod missing;
pub mod model;
pub mod text;

pub use costs::Costs;
pub use missing::missing;
pub use model::{Load, Needs};
