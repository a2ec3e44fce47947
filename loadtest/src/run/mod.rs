//! A whole run: verify the links, take the cases in turn, alternate the targets in short blocks, keep what was
//! measured whatever happens. One block is in `load`, starting servers in `managed`.

pub mod awake;
pub mod binary;
mod block;
pub mod capability;
pub mod ceiling;
pub mod child;
pub mod cores;
pub mod idle;
pub mod load;
pub mod managed;
pub mod progress;
pub mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::net::relay::{Relay, Verification, verify};
use crate::observe::conditions::Reading;
use crate::observe::process::own_cpu_seconds;
use crate::plan::{Case, Plan, Scenario};
use crate::results::conditions::Conditions;
use crate::results::{Block, CaseResult, Results};
use crate::rng::Rng;
use block::{block_of, drop_unpaired};
use ceiling::Ceiling;
use load::Crew;
use progress::Progress;
use target::Resolved;

/// Set by Ctrl-C; looked at between blocks.
pub type Stop = Arc<AtomicBool>;

/// Which part of the load this generator carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    pub of: u32,
}

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
        let before = self.totals().await;
        let cases = std::mem::take(&mut self.plan.cases);
        self.progress.plan(
            cases
                .iter()
                .map(|case| case.expected(self.members(case).len()))
                .sum(),
        );
        let mut outcome = Ok(());
        for mut case in cases {
            // Drawn for every case, also one that is left out: the shards stay in step.
            let seed = rng.draw();
            if self.members(&case).is_empty() || self.stopped() {
                continue;
            }
            case.shard(self.shard.of);
            let mut measured = CaseResult {
                case: case.clone(),
                blocks: Vec::new(),
                rounds: Vec::new(),
            };
            outcome = self
                .case(&Arc::new(case), seed, &mut measured, results)
                .await;
            let members = self.members(&measured.case).len();
            drop_unpaired(&mut measured, members);
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
        for (resolved, before) in self.targets.iter().zip(before) {
            results
                .checks
                .extend(target::check_bytes(resolved, before).await);
        }
        outcome
    }

    async fn case(
        &mut self,
        case: &Arc<Case>,
        seed: u64,
        measured: &mut CaseResult,
        results: &mut Results,
    ) -> Result<()> {
        self.verify_link(case, results).await?;
        let mut rng = Rng::new(seed);
        let members = self.members(case);
        let mut crews = Vec::new();
        let mut relays = Vec::new();
        for index in &members {
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
            let processes = self.processes(&members);
            let before = Reading::take(processes.as_deref());
            for index in &order {
                if self.stopped() {
                    return Ok(());
                }
                let begun = Instant::now();
                self.progress.step(case, &crews[*index].target.plan.name);
                let block = self.block(&mut crews[*index], pair).await?;
                measured.blocks.push(block);
                self.progress.done(case.block(), begun.elapsed());
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
        let probe = crew.target.probe.clone();
        let server = if self.shard.index == 1 {
            probe.cpu_seconds().await
        } else {
            None
        };
        let own = own_cpu_seconds();
        let (sample, elapsed) = crew.work(Duration::from_millis(case.block_ms)).await?;
        let own = own_cpu_seconds() - own;
        let mut server_cpu_s = None;
        if let Some(before) = server {
            server_cpu_s = probe.cpu_seconds().await.map(|after| after - before);
        }
        let server_rss = if self.shard.index == 1 {
            probe.resident().await
        } else {
            None
        };
        crew.rest().await;
        Ok(Block {
            server_cpu_s,
            server_rss,
            generator_cpu_s: own,
            ..block_of(pair, &crew.target.plan.name, &sample, elapsed)
        })
    }

    async fn verify_link(&self, case: &Case, results: &mut Results) -> Result<()> {
        if case.link.is_direct() || results.links.iter().any(|known| known.link == case.link) {
            return Ok(());
        }
        let verified: Verification = verify(case.link).await.map_err(|source| Error::System {
            what: "the relay could not be verified",
            source,
        })?;
        if verified.is_off() {
            results.warnings.push(format!(
                "The relay for {} is off: a round trip took {:.0} us in the median, {:.0} us more than asked.",
                case.link,
                verified.median_rtt_us,
                verified.excess_us()
            ));
        }
        results.links.push(verified);
        Ok(())
    }

    /// The target as reached through the case's link.
    async fn through_link(&self, index: usize, case: &Case) -> Result<(Resolved, Option<Relay>)> {
        let mut resolved = self.targets[index].clone();
        if case.link.is_direct() {
            return Ok((resolved, None));
        }
        let relay = Relay::start(resolved.endpoint.address, case.link)
            .await
            .map_err(|source| Error::System {
                what: "the relay could not listen",
                source,
            })?;
        resolved = resolved.via(relay.address(), case.link.rtt());
        Ok((resolved, Some(relay)))
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

    async fn totals(&self) -> Vec<Option<target::Totals>> {
        let mut totals = Vec::new();
        for resolved in &self.targets {
            totals.push(target::Totals::read(resolved).await);
        }
        totals
    }
}

/// A server may prefer to save the round trip: then there is no retry to measure, which is no failure of the run.
async fn refusal(crews: &mut [Crew]) -> Result<Option<String>> {
    for crew in crews {
        match crew.probe().await {
            Err(error @ Error::Negotiated { .. }) => return Ok(Some(error.to_string())),
            outcome => outcome?,
        }
    }
    Ok(None)
}
