//! Adding up the shards of one run: histograms and counts block by block, without loss. Server-side figures are
//! measured by one shard only (each would see the same server) and carried over.

use hdrhistogram::Histogram;

use super::histogram::{Packed, sum};
use super::{Block, CaseResult, Results};
use crate::error::{Error, Result};

/// One run out of its shards; they must have run the same plan with the same seed.
pub fn merge(shards: Vec<Results>) -> Result<Results> {
    let count = shards.len();
    let mut shards = shards.into_iter();
    let Some(mut whole) = shards.next() else {
        return Err(Error::Usage("merge needs at least one result file".into()));
    };
    for shard in shards {
        check(&whole, &shard)?;
        whole.warnings.extend(shard.warnings);
        whole.checks.extend(shard.checks);
        whole.provenance.spins |= shard.provenance.spins;
        whole.provenance.interrupted |= shard.provenance.interrupted;
        for (mine, theirs) in whole.cases.iter_mut().zip(shard.cases) {
            merge_case(mine, theirs)?;
        }
    }
    whole.provenance.shard = format!("all of {count}");
    whole.warnings.sort();
    whole.warnings.dedup();
    Ok(whole)
}

fn check(whole: &Results, shard: &Results) -> Result<()> {
    let (a, b) = (&whole.provenance, &shard.provenance);
    let differs = |what: &str, a: &str, b: &str| {
        Err(Error::Usage(format!(
            "these are not shards of one run: {what} is \"{a}\" in one and \"{b}\" in another"
        )))
    };
    if a.plan != b.plan {
        return differs("the plan", &a.plan_name, &b.plan_name);
    }
    if a.seed != b.seed {
        return differs("the seed", &a.seed.to_string(), &b.seed.to_string());
    }
    if a.shard == b.shard {
        return differs("the shard", &a.shard, &b.shard);
    }
    let titles = |results: &Results| {
        results
            .cases
            .iter()
            .map(|case| case.case.title())
            .collect::<Vec<_>>()
            .join("; ")
    };
    if titles(whole) != titles(shard) {
        return differs("the list of measured cases", &titles(whole), &titles(shard));
    }
    Ok(())
}

fn merge_case(mine: &mut CaseResult, theirs: CaseResult) -> Result<()> {
    // Each generator has a machine of its own, and any of them may have been busy.
    mine.rounds.extend(theirs.rounds);
    for block in theirs.blocks {
        let same = |other: &&mut Block| other.pair == block.pair && other.target == block.target;
        match mine.blocks.iter_mut().find(same) {
            Some(target) => merge_block(target, &block)
                .map_err(|error| Error::Usage(format!("a damaged histogram: {error}")))?,
            None => mine.blocks.push(block),
        }
    }
    Ok(())
}

fn merge_block(mine: &mut Block, other: &Block) -> std::result::Result<(), String> {
    mine.elapsed_s = mine.elapsed_s.max(other.elapsed_s);
    mine.ops += other.ops;
    mine.units += other.units;
    mine.errors += other.errors;
    mine.unserved += other.unserved;
    mine.bytes.add(&other.bytes);
    mine.latency = repack(&sum([&mine.latency, &other.latency])?);
    mine.first = both(mine.first.as_ref(), other.first.as_ref())?;
    mine.gap = both(mine.gap.as_ref(), other.gap.as_ref())?;
    mine.late = both(mine.late.as_ref(), other.late.as_ref())?;
    mine.server_cpu_s = mine.server_cpu_s.or(other.server_cpu_s);
    mine.generator_cpu_s += other.generator_cpu_s;
    mine.server_rss = mine.server_rss.or(other.server_rss);
    mine.rss_added = mine.rss_added.or(other.rss_added);
    Ok(())
}

fn both(a: Option<&Packed>, b: Option<&Packed>) -> std::result::Result<Option<Packed>, String> {
    if a.is_none() && b.is_none() {
        return Ok(None);
    }
    Ok(Some(repack(&sum(a.into_iter().chain(b))?)))
}

fn repack(histogram: &Histogram<u64>) -> Packed {
    Packed::from_histogram(histogram)
}
