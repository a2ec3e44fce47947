//! Shards add up to the whole, without loss; what is no shard of the same run is refused.

use hybridge_loadtest::net::counts::Bytes;
use hybridge_loadtest::net::link::Link;
use hybridge_loadtest::plan::{Case, Load, Scenario};
use hybridge_loadtest::results::conditions::Conditions;
use hybridge_loadtest::results::histogram::{Packed, sum};
use hybridge_loadtest::results::merge::merge;
use hybridge_loadtest::results::{Block, CaseResult, Provenance, Results, SCHEMA};
use hybridge_loadtest::rng::Rng;

fn block(values: &[u64], cpu: Option<f64>) -> Block {
    Block {
        pair: 0,
        began_ms: None,
        target: "hybrid".into(),
        elapsed_s: 1.0,
        ops: values.len() as u64,
        units: 7,
        errors: 1,
        unserved: 2,
        reopened: 3,
        bytes: Bytes {
            handshakes: 3,
            wire_up: 10,
            ..Bytes::default()
        },
        latency: Packed::of(values),
        first: None,
        gap: Some(Packed::of(values)),
        late: Some(Packed::of(values)),
        server_cpu_s: cpu,
        generator_cpu_s: 0.5,
        server_rss: None,
        rss_added: None,
    }
}

fn shard(shard: &str, seed: u64, values: &[u64], cpu: Option<f64>) -> Results {
    let case = Case {
        scenario: Scenario::FullHandshake,
        link: Link::default(),
        load: Load::Closed { connections: 4 },
        up: 0,
        down: 0,
        tokens: 0,
        token_interval_us: 0,
        streams: 1,
        rounds: 2,
        block_ms: 100,
        warmup_ms: 0,
    };
    Results {
        schema: SCHEMA.into(),
        provenance: Provenance {
            shard: shard.into(),
            seed,
            plan: "p".into(),
            ..Provenance::default()
        },
        targets: Vec::new(),
        headroom: None,
        links: Vec::new(),
        cases: vec![CaseResult {
            rounds: Vec::new(),
            case,
            blocks: vec![block(values, cpu)],
        }],
        checks: Vec::new(),
        warnings: Vec::new(),
        skipped: Vec::new(),
    }
}

#[test]
fn the_merged_histogram_is_that_of_all_values_at_once() {
    let mut rng = Rng::new(9);
    let all: Vec<u64> = (0..9000)
        .map(|_| 1000 + rng.below(50_000_000) as u64)
        .collect();
    let parts: Vec<_> = all.chunks(3000).collect();
    let shards = vec![
        shard("1/3", 4, parts[0], Some(0.25)),
        shard("2/3", 4, parts[1], None),
        shard("3/3", 4, parts[2], None),
    ];
    let whole = merge(shards).unwrap();
    let merged = &whole.cases[0].blocks[0];
    assert_eq!(
        merged.latency.histogram().unwrap(),
        Packed::of(&all).histogram().unwrap()
    );
    assert_eq!(
        sum([&merged.latency]).unwrap().value_at_quantile(0.99),
        Packed::of(&all)
            .histogram()
            .unwrap()
            .value_at_quantile(0.99)
    );
    assert_eq!(
        merged.gap.as_ref().unwrap().histogram().unwrap().len(),
        9000
    );
    assert_eq!(
        merged.late.as_ref().unwrap().histogram().unwrap().len(),
        9000
    );
    assert_eq!(
        (merged.ops, merged.units, merged.errors, merged.unserved),
        (9000, 21, 3, 6)
    );
    assert_eq!((merged.bytes.handshakes, merged.bytes.wire_up), (9, 30));
    assert_eq!(
        merged.server_cpu_s,
        Some(0.25),
        "the server is one; its CPU is not added up"
    );
    assert!((merged.generator_cpu_s - 1.5).abs() < 1e-9);
}

#[test]
fn the_order_of_shards_does_not_matter() {
    let one = || shard("1/2", 4, &[5_000, 6_000], Some(0.1));
    let two = || shard("2/2", 4, &[7_000], None);
    let latency = |results: Results| results.cases[0].blocks[0].latency.histogram().unwrap();
    assert_eq!(
        latency(merge(vec![one(), two()]).unwrap()),
        latency(merge(vec![two(), one()]).unwrap())
    );
}

/// A shard that was interrupted has fewer rounds, one that gave up a target lacks its blocks.
#[test]
fn only_blocks_that_every_shard_has_are_of_the_whole() {
    let with = |name: &str, blocks: &[(u32, &str)]| {
        let mut part = shard(name, 4, &[5_000], None);
        let case = &mut part.cases[0];
        case.blocks = blocks
            .iter()
            .map(|(pair, target)| Block {
                pair: *pair,
                target: (*target).to_owned(),
                ..block(&[5_000], None)
            })
            .collect();
        case.rounds = (0..3)
            .map(|pair| Conditions {
                pair,
                ..Conditions::default()
            })
            .collect();
        part
    };
    let all: Vec<_> = (0..3).flat_map(|pair| [(pair, "a"), (pair, "b")]).collect();
    let interrupted = &all[..4];
    let gave_up: Vec<_> = all
        .iter()
        .copied()
        .filter(|block| *block != (1, "b"))
        .collect();
    let mut orders = Vec::new();
    for parts in [
        [&all[..], interrupted, &gave_up],
        [&gave_up, &all, interrupted],
    ] {
        let names = ["1/3", "2/3", "3/3"];
        let parts = names
            .iter()
            .zip(parts)
            .map(|(name, blocks)| with(name, blocks));
        let whole = merge(parts.collect()).unwrap();
        let blocks = whole.cases[0].blocks.iter();
        let kept: Vec<_> = blocks
            .map(|block| (block.pair, block.target.as_str(), block.ops))
            .collect();
        assert_eq!(kept, [(0, "a", 3), (0, "b", 3), (1, "a", 3)]);
        assert!(whole.cases[0].rounds.iter().all(|round| round.pair < 2));
        assert!(
            whole.warnings[0].starts_with("3 of 6 blocks are left out"),
            "{:?}",
            whole.warnings
        );
        orders.push(whole.warnings);
    }
    assert_eq!(orders[0], orders[1]);
    let apart = merge(vec![with("1/2", &all[..2]), with("2/2", &all[2..])]).unwrap_err();
    assert!(apart.to_string().contains("no block in common"), "{apart}");
}

#[test]
fn results_of_different_runs_are_refused() {
    let first = || shard("1/2", 4, &[5_000], None);
    let other_seed = merge(vec![first(), shard("2/2", 5, &[5_000], None)]).unwrap_err();
    assert!(other_seed.to_string().contains("the seed"), "{other_seed}");
    let twice = merge(vec![first(), first()]).unwrap_err();
    assert!(twice.to_string().contains("the shard"), "{twice}");
}

/// What a shard is told is its part; the whole has the load of all.
#[test]
fn the_load_of_the_whole_is_that_of_all_parts() {
    let merged = |load: Load| {
        let parts = ["1/3", "2/3", "3/3"].map(|name| {
            let mut part = shard(name, 4, &[5_000], None);
            part.cases[0].case.load = load;
            part.cases[0].case.shard(3);
            part
        });
        merge(parts.into()).unwrap().cases[0].case.load
    };
    let open = Load::Open {
        per_second: 100.0,
        connections: 9,
    };
    assert_eq!(merged(open), open);
    // Two connections each: six there were.
    let closed = merged(Load::Closed { connections: 4 });
    assert_eq!(closed, Load::Closed { connections: 6 });
}
