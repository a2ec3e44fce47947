//! A whole run: verify the links, take the cases in turn, alternate the targets in short blocks, keep what was
//! measured whatever happens. One block is in `load`, starting servers in `managed`.

mod address;
mod asked;
pub mod awake;
pub mod binary;
mod block;
pub mod capability;
pub mod ceiling;
pub mod child;
pub mod cores;
pub mod counted;
mod failures;
pub mod idle;
mod link;
pub mod load;
pub mod managed;
pub mod progress;
mod refusal;
mod schedule;
mod shard;
pub mod target;
mod working;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::observe::Probe;
use crate::observe::conditions::Reading;
use crate::observe::process::own_cpu_seconds;
use crate::plan::{Case, Plan, Scenario};
use crate::results::conditions::Conditions;
use crate::results::{Block, CaseResult, Results};
use crate::rng::Rng;
use block::{block_of, drop_unfinished};
use ceiling::Ceiling;
use counted::Counted;
use failures::{Failures, is_paired};
use load::Crew;
use progress::Progress;
use refusal::refusal;
pub use shard::Shard;
use target::Resolved;

/// Set by Ctrl-C; looked at between blocks.
pub type Stop = Arc<AtomicBool>;

/// Everything a run needs.
#[derive(Debug)]
pub struct Run {
    pub plan: Plan,
    pub targets: Vec<Resolved>,
    pub seed: u64,
    pub shard: Shard,
    pub stop: Stop,
    pub progress: Progress,
    /// Looked at before each round where it is there.
    pub ceiling: Option<Ceiling>,
    /// Processes whose CPU time is the run's own: a backend behind the targets.
    pub beside: Vec<u32>,
    /// Read before the first handshake of a shard, which other shards find in the server's counts.
    pub counted: Option<Counted>,
}

/// A case while it is measured.
struct UnderWay<'a> {
    /// The targets that take part.
    members: Vec<usize>,
    measured: &'a mut CaseResult,
    results: &'a mut Results,
    failures: &'a mut Failures,
}

impl Run {
    /// Measures into `results`; what is there when it ends, by itself or by an error, was measured. `save` is
    /// called after each case.
    pub async fn measure(
        &mut self,
        results: &mut Results,
        mut save: impl FnMut(&Results) -> Result<()>,
    ) -> Result<()> {
        let mut rng = Rng::new(self.seed);
        let counted = match self.counted.take() {
            Some(counted) => counted,
            None => Counted::begin(&self.targets).await,
        };
        target::tell_of_metrics(&self.targets, results);
        let cases = std::mem::take(&mut self.plan.cases);
        self.progress.plan(
            cases
                .iter()
                .map(|case| case.expected(self.members(case).len()))
                .sum(),
        );
        let mut outcome = Ok(());
        let mut failures = Failures::default();
        for mut case in cases {
            // Drawn for every case, also one that is left out: the shards stay in step.
            let seed = rng.draw();
            let mut members = self.members(&case);
            if members.is_empty() || self.stopped() {
                continue;
            }
            let sifted = failures.sift(&mut members, &self.targets, &case).await;
            results.skipped.extend(sifted);
            if members.is_empty() {
                continue;
            }
            case.shard(self.shard.of);
            let mut measured = CaseResult {
                case: case.clone(),
                blocks: Vec::new(),
                rounds: Vec::new(),
            };
            let mut under_way = UnderWay {
                members,
                measured: &mut measured,
                results,
                failures: &mut failures,
            };
            let ended = self.case(&Arc::new(case), seed, &mut under_way).await;
            if let Err(error) = ended {
                match failures.of_case(&measured.case, error) {
                    Ok(told) => results.warnings.push(told),
                    Err(error) => outcome = Err(error),
                }
            }
            drop_unfinished(&mut measured);
            if !measured.blocks.is_empty() {
                results.cases.push(measured);
                save(results)?;
            }
            if outcome.is_err() {
                break;
            }
        }
        results.provenance.interrupted = self.stopped();
        self.progress.end();
        let checks = counted.end(&self.targets, self.shard.of > 1).await;
        results.checks.extend(checks);
        target::tell_of_metrics(&self.targets, results);
        outcome.and_then(|()| failures.end(!results.cases.is_empty()))
    }

    async fn case(
        &mut self,
        case: &Arc<Case>,
        seed: u64,
        under_way: &mut UnderWay<'_>,
    ) -> Result<()> {
        let UnderWay {
            members,
            measured,
            results,
            failures,
        } = under_way;
        self.verify_link(case, results).await?;
        let mut rng = Rng::new(seed);
        let mut crews = Vec::new();
        let mut relays = Vec::new();
        for index in members.iter() {
            let (resolved, relay) = self.through_link(*index, case).await?;
            relays.push(relay);
            let own = match resolved.plan.connections {
                None => Arc::clone(case),
                Some(count) => Arc::new(case.with_connections(count.div_ceil(self.shard.of))),
            };
            crews.push(Crew::new(&own, resolved, &mut rng));
        }
        if case.scenario == Scenario::HelloRetryHandshake
            && let Some(why) = refusal(&mut crews).await?
        {
            results
                .warnings
                .push(format!("{} was left out: {why}", case.title()));
            return Ok(());
        }
        self.progress.case(case.expected(members.len()));
        let mut order: Vec<usize> = (0..crews.len()).collect();
        for pair in 0..case.rounds {
            rng.shuffle(&mut order);
            let ceiling = match &mut self.ceiling {
                Some(ceiling) => ceiling.glance().await,
                None => None,
            };
            let processes = self.processes(members);
            let before = Reading::take(processes.as_deref());
            let mut failed = Vec::new();
            for index in &order {
                if self.stopped() {
                    return Ok(());
                }
                let (begun, began_ms) = (Instant::now(), self.shard.moment());
                self.progress.step(case, &crews[*index].target.plan.name);
                match self.block(&mut crews[*index], pair).await {
                    Ok(block) => measured.blocks.push(Block { began_ms, ..block }),
                    Err(error) => {
                        let crew = &mut crews[*index];
                        let target = (members[*index], &crew.target);
                        let told = failures.of_block(target, case, pair, error)?;
                        results.warnings.push(told);
                        crew.dismiss().await;
                        failed.push(*index);
                    }
                }
                self.progress.done(case.block(), begun.elapsed());
            }
            order.retain(|index| !failed.contains(index));
            if !failed.is_empty() && !is_paired(order.iter().map(|index| &crews[*index].target)) {
                break;
            }
            let after = Reading::take(processes.as_deref());
            measured.rounds.push(Conditions {
                ceiling,
                ..after.since(&before, pair)
            });
        }
        for crew in &mut crews {
            crew.dismiss().await;
        }
        Ok(())
    }

    async fn block(&self, crew: &mut Crew, pair: u32) -> Result<Block> {
        let case = Arc::clone(&crew.case);
        if case.scenario == Scenario::Idle {
            return idle::block(&case, crew, pair).await;
        }
        crew.prepare().await?;
        let warmup = Duration::from_millis(case.warmup_ms);
        if !warmup.is_zero() {
            crew.work(warmup).await?;
        }
        // Of a server that several generators load, the first tells.
        let probe = if self.shard.index == 1 {
            crew.target.probe.clone()
        } else {
            Probe::default()
        };
        let server = probe.cpu_seconds().await;
        let own = own_cpu_seconds();
        let (mut sample, elapsed) = crew.work(Duration::from_millis(case.block_ms)).await?;
        let own = own_cpu_seconds() - own;
        let server_cpu_s = match server {
            Some(before) => probe.cpu_seconds().await.map(|after| after - before),
            None => None,
        };
        let server_rss = probe.resident().await;
        crew.rest().await;
        sample.errors += crew.unopened();
        Ok(Block {
            server_cpu_s,
            server_rss,
            generator_cpu_s: own,
            ..block_of(pair, &crew.target.plan.name, &sample, elapsed)
        })
    }

    fn members(&self, case: &Case) -> Vec<usize> {
        let speaks = case.scenario.speaks();
        (0..self.targets.len())
            .filter(|index| self.targets[*index].speaks == speaks)
            .collect()
    }

    /// The processes of the run besides this one; none where a server's is not known.
    fn processes(&self, members: &[usize]) -> Option<Vec<u32>> {
        let servers: Option<Vec<u32>> = members
            .iter()
            .map(|index| self.targets[*index].probe.pid)
            .collect();
        let mut all = servers?;
        all.extend(&self.beside);
        all.sort_unstable();
        all.dedup();
        all.retain(|pid| *pid != std::process::id());
        Some(all)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
