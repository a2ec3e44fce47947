//! The generators of shards: each is evaluated by itself, as it cannot be when all are one; together they have the cores
//! of all.

use std::collections::BTreeMap;

use crate::net::relay::Verification;
use crate::results::conditions::best_ceiling;
use crate::results::generator::BUSY;
use crate::results::{Headroom, Results};

/// What of them is in no sum.
pub(super) struct Generators {
    headroom: Option<Headroom>,
    links: Vec<Verification>,
    versions: BTreeMap<String, String>,
    /// A debug build among them makes figures of one.
    debug: bool,
    spins: bool,
    difference: Option<String>,
    /// Each shard with its cases in which its generator was the limit.
    limits: Vec<(String, Vec<usize>)>,
}

/// Marks the rounds with the ceiling of their own generator, and keeps what the first shard does not say of the others.
pub(super) fn look(shards: &mut [Results]) -> Generators {
    for case in shards.iter_mut().flat_map(|shard| &mut shard.cases) {
        let best = best_ceiling(case.rounds.iter());
        for round in &mut case.rounds {
            round.best = round.ceiling.map(|_| best);
        }
    }
    let mut profiles = shards.iter().map(|shard| &shard.provenance.profile);
    let limits = shards.iter().map(|shard| {
        (
            shard.provenance.shard.clone(),
            shard.cases_at_generators_limit(),
        )
    });
    Generators {
        headroom: headroom(shards),
        links: links(shards),
        versions: versions(shards),
        debug: profiles.any(|profile| profile == "debug"),
        spins: shards.iter().any(|shard| shard.provenance.spins),
        difference: difference(shards),
        limits: limits.collect(),
    }
}

impl Generators {
    /// Puts it into the whole, whose cases are still those of each shard.
    pub(super) fn tell(self, whole: &mut Results) {
        whole.headroom = self.headroom;
        whole.links = self.links;
        let p = &mut whole.provenance;
        p.versions = self.versions;
        p.spins = self.spins;
        if self.debug {
            "debug".clone_into(&mut p.profile);
        }
        whole.warnings.extend(self.difference);
        let told = whole.cases_at_generators_limit();
        for (shard, mut cases) in self.limits {
            cases.retain(|index| !told.contains(index));
            let titles = cases.iter().filter_map(|index| whole.cases.get(*index));
            let titles: Vec<_> = titles.map(|case| case.case.title()).collect();
            if !titles.is_empty() {
                whole.warnings.push(format!(
                    "The generator of shard {shard} used more than {:.0} % of its own cores in: {}. Rates and latencies \
                     under that load are bounds set by it.",
                    BUSY * 100.0,
                    titles.join("; ")
                ));
            }
        }
    }
}

/// None where that of a shard is not known.
fn headroom(shards: &[Results]) -> Option<Headroom> {
    let mut rest = shards.iter().map(|shard| shard.headroom.clone());
    let first = rest.next()??;
    rest.try_fold(first, |sum, next| {
        let next = next?;
        Some(Headroom {
            null_p50_us: sum.null_p50_us.max(next.null_p50_us),
            null_p99_us: sum.null_p99_us.max(next.null_p99_us),
            null_per_second: sum.null_per_second + next.null_per_second,
            cores: sum.cores.saturating_add(next.cores),
        })
    })
}

/// Each generator has a relay of its own for each link: the one that is farthest off.
fn links(shards: &[Results]) -> Vec<Verification> {
    let mut farthest: Vec<Verification> = Vec::new();
    for own in shards.iter().flat_map(|shard| &shard.links) {
        match farthest.iter_mut().find(|known| known.link == own.link) {
            None => farthest.push(own.clone()),
            Some(known) if own.excess_us().abs() > known.excess_us().abs() => *known = own.clone(),
            Some(_) => {}
        }
    }
    farthest
}

/// Every note and version; what differs, one beside the other.
fn versions(shards: &[Results]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in shards.iter().flat_map(|shard| &shard.provenance.versions) {
        let known = all.entry(name).or_default();
        if !known.contains(&version.as_str()) {
            known.push(version);
        }
    }
    let joined = |(name, versions): (&str, Vec<&str>)| (name.to_owned(), versions.join("; "));
    all.into_iter().map(joined).collect()
}

/// The builds and machines, where there are several: the whole has room for the first only.
fn difference(shards: &[Results]) -> Option<String> {
    let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
    for shard in shards {
        let p = &shard.provenance;
        let machine = &p.machine;
        let own = format!(
            "version {} ({}), {}, {} cores, Linux {}, CPU flags {}, {}",
            p.version,
            p.profile,
            machine.cpu,
            machine.cores,
            machine.kernel,
            machine.cpu_flags.join(" "),
            p.pinning
        );
        match kinds.iter_mut().find(|(known, _)| *known == own) {
            Some((_, names)) => names.push(&p.shard),
            None => kinds.push((own, vec![&p.shard])),
        }
    }
    if kinds.len() < 2 {
        return None;
    }
    let told: Vec<_> = kinds
        .iter()
        .map(|(kind, names)| format!("{kind} in {}", names.join(", ")))
        .collect();
    Some(format!(
        "The generators of the shards differ: {}. Where this report names one, it is that of the first.",
        told.join("; ")
    ))
}
