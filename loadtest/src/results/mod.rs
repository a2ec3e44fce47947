//! The result file: everything measured, block by block, with what is needed to assess it and to repeat it.
//! What a report says is computed from here and nothing else. Reading and writing are in `file`.

mod bounds;
pub mod conditions;
pub mod file;
pub mod findings;
pub mod generator;
pub mod histogram;
pub mod merge;
pub mod shard;
pub mod tally;
mod texts;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::net::counts::Bytes;
use crate::net::relay::Verification;
use crate::plan::{Case, Target};
use conditions::Conditions;
use histogram::Packed;

/// Written into every file; another one is refused.
pub const SCHEMA: &str = "hybridge-loadtest/1";

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    pub schema: String,
    pub provenance: Provenance,
    pub targets: Vec<Target>,
    pub headroom: Option<Headroom>,
    pub links: Vec<Verification>,
    pub cases: Vec<CaseResult>,
    /// Counted bytes against the servers' own metrics.
    pub checks: Vec<ByteCheck>,
    /// What the reader must know before trusting a figure.
    pub warnings: Vec<String>,
    /// Cases that could not be measured, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

/// Where, with what and how the run was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// RFC 3339, UTC.
    pub started: String,
    pub version: String,
    pub profile: String,
    pub command: Vec<String>,
    pub plan_name: String,
    pub plan: String,
    /// Of the order of blocks.
    pub seed: u64,
    /// "1/1" unless the load was divided over several generators.
    pub shard: String,
    pub machine: Machine,
    /// Name to version or build line, of what took part.
    pub versions: BTreeMap<String, String>,
    /// Which core served and which generated, or why they were not separated.
    pub pinning: String,
    /// The generator looked at the clock instead of sleeping: its CPU time tells nothing.
    #[serde(default)]
    pub spins: bool,
    pub interrupted: bool,
    /// The run failed, or a target did: something of the plan is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

/// The machine the generator ran on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    /// Those of the CPU's flags that matter to cryptography.
    pub cpu_flags: Vec<String>,
}

/// What the generator can do when the server costs next to nothing: plain HTTP against a stub of its own. Of several
/// generators, what they can do together, and the slowest one's latencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headroom {
    pub null_p50_us: f64,
    pub null_p99_us: f64,
    /// With 16 connections.
    pub null_per_second: f64,
    /// Cores the generator may use.
    pub cores: usize,
}

/// One case: its blocks in the order they ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    pub case: Case,
    pub blocks: Vec<Block>,
    /// The machine during each round; absent in older files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Conditions>,
}

/// One uninterrupted stretch against one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Blocks of one pair number are compared with each other.
    pub pair: u32,
    /// In a shard, when it began by the generator's clock, milliseconds since 1970: only `merge` can tell whether all had it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_ms: Option<u64>,
    pub target: String,
    pub elapsed_s: f64,
    pub ops: u64,
    /// Tokens or payload bytes, by scenario; 0 where an operation is the unit.
    pub units: u64,
    pub errors: u64,
    /// Scheduled operations nobody was free for until long after the block (open load).
    pub unserved: u64,
    /// Connections opened again because the server had announced the end of those before; absent in older files.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u64,
    pub bytes: Bytes,
    /// Nanoseconds per operation.
    pub latency: Packed,
    /// Time to first token, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Packed>,
    /// Gaps between tokens, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Packed>,
    /// In a stream with an interval, nanoseconds: from a token's being written, which it says, to its arrival at the
    /// client's socket; where it does not say, how long after its turn it was read, against a clock that ticks with the
    /// interval from the stream's most punctual token on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Packed>,
    /// Seconds the server computed meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_cpu_s: Option<f64>,
    pub generator_cpu_s: f64,
    /// Resident memory of the server at the block's end, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_rss: Option<u64>,
    /// What the block's connections added to it (idle connections), bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_added: Option<i64>,
}

/// The client's count beside the server's, over all cases of one target, or of those that one count of the server is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByteCheck {
    pub target: String,
    pub what: String,
    pub client: u64,
    pub server: u64,
    /// In a shard, where the server's count began and ended: what other generators did meanwhile is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_span: Option<[u64; 2]>,
}

impl Results {
    /// Nothing measured yet.
    pub fn of(targets: Vec<Target>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            provenance: Provenance::default(),
            targets,
            headroom: None,
            links: Vec::new(),
            cases: Vec::new(),
            checks: Vec::new(),
            warnings: Vec::new(),
            skipped: Vec::new(),
        }
    }

    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// Cases of several runs are the same where they have one title.
    pub fn case(&self, title: &str) -> Option<&CaseResult> {
        self.cases.iter().find(|case| case.case.title() == title)
    }
}

/// What serde asks: a count that is rare is not written where it is zero.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Block {
    /// A block is one of a round and a target.
    pub(crate) fn name(&self) -> (u32, String) {
        (self.pair, self.target.clone())
    }

    /// Everything that is counted, for a look at whether it can be.
    pub fn counts(&self) -> impl Iterator<Item = u64> + use<> {
        let own = [
            self.ops,
            self.units,
            self.errors,
            self.unserved,
            self.reopened,
        ];
        own.into_iter().chain(self.bytes.sums())
    }
}

impl CaseResult {
    pub fn blocks_of<'a>(&'a self, target: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks
            .iter()
            .filter(move |block| block.target == target)
    }

    /// Targets that have blocks here, in order of first appearance by name.
    pub fn targets(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .blocks
            .iter()
            .map(|block| block.target.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}
