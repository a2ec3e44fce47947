//! Which cores the servers the tool starts run on, and which it leaves to itself.

use crate::observe::machine;

/// Cores for the servers and for the generator.
#[derive(Clone, Debug, Default)]
pub struct Cores {
    pub server: Vec<usize>,
    pub generator: Vec<usize>,
}

impl Cores {
    /// Half of what this process may use for each side; empty where there is only one core, or when told not to.
    pub fn split(wanted: bool) -> Self {
        let all = machine::cores();
        if !wanted || all.len() < 2 {
            return Self::default();
        }
        let (server, generator) = all.split_at(all.len() / 2);
        Self {
            server: server.to_vec(),
            generator: generator.to_vec(),
        }
    }

    pub fn describe(&self) -> String {
        if self.server.is_empty() {
            return format!(
                "not arranged by the tool; the generator may use core {:?}",
                machine::cores()
            );
        }
        format!(
            "servers on core {:?}, generator on core {:?}",
            self.server, self.generator
        )
    }
}
