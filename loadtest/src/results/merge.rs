//! Adding up the shards of one run: histograms and counts block by block, without loss. Server-side figures are
//! measured by one shard only (each would see the same server) and carried over.

mod checks;
mod generators;
mod moments;

use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;

use super::histogram::{Packed, sum};
use super::shard::part;
use super::{Block, CaseResult, Results};
use crate::error::{Error, Result};
use crate::plan::Load;

/// One run out of its shards; they must have run the same plan with the same seed, each another part of it. Where some
/// are missing, a warning says so, and the server's CPU, which all of them caused, is left out.
pub fn merge(mut shards: Vec<Results>) -> Result<Results> {
    let of = check_parts(&shards)?;
    let count = shards.len();
    // The first shard measured the server, and what the whole says is then the same in any order.
    shards.sort_by_key(|shard| part(&shard.provenance.shard));
    check(&shards)?;
    let left_out = keep_common(&mut shards);
    let apart = moments::apart(&shards);
    let checks = checks::merged(&shards);
    let generators = generators::look(&mut shards);
    let mut shards = shards.into_iter();
    let Some(mut whole) = shards.next() else {
        return Err(nothing());
    };
    for shard in shards {
        whole.warnings.extend(shard.warnings);
        whole.skipped.extend(shard.skipped);
        whole.provenance.interrupted |= shard.provenance.interrupted;
        whole.provenance.incomplete |= shard.provenance.incomplete;
        for (mine, theirs) in whole.cases.iter_mut().zip(shard.cases) {
            merge_case(mine, theirs)?;
        }
    }
    whole.checks = checks;
    generators.tell(&mut whole);
    drop_empty(&mut whole)?;
    whole.warnings.sort();
    whole.warnings.dedup();
    whole.skipped.sort();
    whole.skipped.dedup();
    whole
        .warnings
        .splice(0..0, apart.into_iter().chain(left_out));
    if count as u64 == u64::from(of) {
        whole.provenance.shard = format!("all of {of}");
        return Ok(whole);
    }
    whole.provenance.shard = format!("{count} of {of}");
    whole.leave_server_out();
    whole.warnings.insert(
        0,
        format!(
            "These are {count} of {of} shards: rates are theirs, and the server's CPU, its counts of bytes and the memory of \
             connections are left out, because the server worked for all {of}."
        ),
    );
    Ok(whole)
}

/// How many shards the run has: all say the same, and each is there once.
fn check_parts(shards: &[Results]) -> Result<u32> {
    let mut seen: Vec<(u32, u32)> = Vec::new();
    for shard in shards {
        let text = &shard.provenance.shard;
        let wrong = |why: String| {
            Err(Error::Usage(format!(
                "these are not shards of one run: {why}"
            )))
        };
        let Some(own) = part(text) else {
            return wrong(format!(
                "the shard is \"{text}\" in one, which is no part I/N; merge what the generators wrote, all at once"
            ));
        };
        if let Some(first) = seen.first().filter(|first| first.1 != own.1) {
            return wrong(format!(
                "the shard is {}/{} in one and {text} in another",
                first.0, first.1
            ));
        }
        if seen.contains(&own) {
            return wrong(format!("the shard {text} is there twice"));
        }
        seen.push(own);
    }
    seen.first().map(|(_, of)| *of).ok_or_else(nothing)
}

fn nothing() -> Error {
    Error::Usage("merge needs at least one result file".into())
}

/// Each against the first: the same plan, seed and cases.
fn check(shards: &[Results]) -> Result<()> {
    let (whole, rest) = shards.split_first().ok_or_else(nothing)?;
    let measured = titles(whole);
    for shard in rest {
        let (a, b) = (&whole.provenance, &shard.provenance);
        if a.plan != b.plan {
            return Err(differ("the plan", &a.plan_name, &b.plan_name));
        }
        if a.seed != b.seed {
            return Err(differ("the seed", &a.seed.to_string(), &b.seed.to_string()));
        }
        let theirs = titles(shard);
        if measured != theirs {
            return Err(differ("the list of measured cases", &measured, &theirs));
        }
    }
    Ok(())
}

/// Takes out the blocks that some shard lacks, because it was interrupted or gave up a target: what the others have of them
/// would stand for the load of all. How many they are, if any.
fn keep_common(shards: &mut [Results]) -> Option<String> {
    let cases = shards.first().map_or(0, |shard| shard.cases.len());
    let (mut seen, mut kept) = (0, 0);
    for index in 0..cases {
        let mut every: BTreeMap<(u32, String), usize> = BTreeMap::new();
        for case in shards.iter().filter_map(|shard| shard.cases.get(index)) {
            let own: BTreeSet<_> = case.blocks.iter().map(Block::name).collect();
            for block in own {
                *every.entry(block).or_default() += 1;
            }
        }
        seen += every.len();
        every.retain(|_, count| *count == shards.len());
        kept += every.len();
        let pairs: BTreeSet<u32> = every.keys().map(|(pair, _)| *pair).collect();
        for case in shards
            .iter_mut()
            .filter_map(|shard| shard.cases.get_mut(index))
        {
            case.blocks
                .retain(|block| every.contains_key(&block.name()));
            case.rounds.retain(|round| pairs.contains(&round.pair));
        }
    }
    (kept < seen).then(|| {
        format!(
            "{} of {seen} blocks are left out: not every shard has them, because one was interrupted or a target failed it.",
            seen - kept
        )
    })
}

/// Cases of which nothing is left; an error where that is all of them.
fn drop_empty(whole: &mut Results) -> Result<()> {
    let measured = !whole.cases.is_empty();
    let empty = |case: &&CaseResult| case.blocks.is_empty();
    for case in whole.cases.iter().filter(empty) {
        let title = case.case.title();
        let words = format!("{title} was left out: no block of it is in every shard.");
        whole.warnings.push(words);
    }
    whole.cases.retain(|case| !case.blocks.is_empty());
    if measured && whole.cases.is_empty() {
        return Err(Error::Usage(
            "these shards have no block in common; run them again, to the end".into(),
        ));
    }
    Ok(())
}

fn differ(what: &str, a: &str, b: &str) -> Error {
    Error::Usage(format!(
        "these are not shards of one run: {what} is \"{a}\" in one and \"{b}\" in another"
    ))
}

/// As the shard called them: its own part of the load is in them.
fn titles(results: &Results) -> String {
    let titles = results.cases.iter().map(|case| case.case.title());
    titles.collect::<Vec<_>>().join("; ")
}

fn merge_case(mine: &mut CaseResult, theirs: CaseResult) -> Result<()> {
    // Each generator has a machine of its own, and any of them may have been busy.
    mine.rounds.extend(theirs.rounds);
    mine.case.load = added(mine.case.load, theirs.case.load);
    for block in theirs.blocks {
        let same = |other: &&mut Block| other.pair == block.pair && other.target == block.target;
        if let Some(target) = mine.blocks.iter_mut().find(same) {
            merge_block(target, &block)
                .map_err(|error| Error::Usage(format!("a damaged result file: {error}")))?;
        }
    }
    Ok(())
}

/// The load that the server really had: parts are rounded up to whole connections.
fn added(mine: Load, theirs: Load) -> Load {
    let connections = mine.connections().saturating_add(theirs.connections());
    match (mine, theirs) {
        (Load::Open { per_second: a, .. }, Load::Open { per_second: b, .. }) => Load::Open {
            // Thirds add up to the whole again.
            per_second: ((a + b) * 1e6).round() / 1e6,
            connections,
        },
        _ => Load::Closed { connections },
    }
}

fn merge_block(mine: &mut Block, other: &Block) -> std::result::Result<(), String> {
    let mut sums = mine.counts().zip(other.counts());
    if let Some((a, b)) = sums.find(|(a, b)| a.checked_add(*b).is_none()) {
        return Err(format!("counts of {a} and {b} in one block"));
    }
    mine.began_ms = None;
    mine.elapsed_s = mine.elapsed_s.max(other.elapsed_s);
    mine.ops += other.ops;
    mine.units += other.units;
    mine.errors += other.errors;
    mine.unserved += other.unserved;
    mine.reopened += other.reopened;
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
