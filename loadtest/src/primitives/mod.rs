//! The cost of the algorithms on this machine, one thread: what each operation takes and how large its outputs are.

mod exchange;
mod post_quantum;
mod row;
mod signing;
pub mod table;
mod timing;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observe::machine;
use crate::results::Machine;
use crate::versions::PROFILE;
pub use row::Row;
pub use timing::Figure;

/// All rows, with the machine they hold for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Primitives {
    pub schema: String,
    pub version: String,
    pub profile: String,
    pub machine: Machine,
    pub rows: Vec<Row>,
}

/// Measures everything; `time` for each figure, `announce` before each algorithm.
pub fn measure(time: Duration, announce: impl Fn(&str)) -> Primitives {
    let mut rows = Vec::new();
    for algorithm in exchange::all()
        .into_iter()
        .chain(signing::all())
        .chain(post_quantum::all())
    {
        announce(algorithm.name);
        rows.push((algorithm.measure)(time));
    }
    Primitives {
        schema: "hybridge-loadtest-primitives/1".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        profile: PROFILE.into(),
        machine: machine::describe(),
        rows,
    }
}
