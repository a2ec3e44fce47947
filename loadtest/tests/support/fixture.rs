//! A run with every kind of figure, the same each time: what reports are tested on.

use hybridge_loadtest::net::counts::Bytes;
use hybridge_loadtest::net::link::Link;
use hybridge_loadtest::net::relay::Verification;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario, Target};
use hybridge_loadtest::results::conditions::Conditions;
use hybridge_loadtest::results::histogram::Packed;
use hybridge_loadtest::results::{
    Block, ByteCheck, CaseResult, Headroom, Machine, Provenance, Results, SCHEMA,
};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::tls::Group;

pub fn target(name: &str, role: Role, group: Group) -> Target {
    Target::new(
        name,
        format!("https://{name}.example:8443"),
        role,
        vec![group],
    )
}

fn case(scenario: Scenario, link: Link, connections: u32) -> Case {
    let defaults = scenario.defaults();
    Case {
        scenario,
        link,
        load: Load::Closed { connections },
        up: defaults.up,
        down: defaults.down,
        tokens: defaults.tokens,
        token_interval_us: defaults.token_interval_us,
        streams: 1,
        rounds: 8,
        block_ms: 300,
        warmup_ms: 60,
    }
}

/// Blocks that scatter around a level: microseconds of latency and of server CPU, bytes of handshake.
fn blocks(case: &Case, rng: &mut Rng) -> Vec<Block> {
    let mut blocks = Vec::new();
    for pair in 0..case.rounds {
        for (name, latency, cpu, up, down) in [
            ("hybrid", 480, 152.0, 1522, 1807),
            ("classical", 420, 128.0, 300, 718),
        ] {
            let latency = latency + case.link.rtt_us;
            let ops = 600 * u64::from(case.load.connections().min(8));
            let values: Vec<u64> = (0..ops)
                .map(|_| (latency * 1000) + rng.below(90_000) as u64 + rng.below(4) as u64 * 20_000)
                .collect();
            let streams = case.scenario.streams_tokens();
            blocks.push(Block {
                pair,
                began_ms: None,
                target: name.into(),
                elapsed_s: 0.3,
                ops,
                units: if streams { ops * 64 } else { 0 },
                errors: 0,
                unserved: 0,
                reopened: 0,
                bytes: Bytes {
                    handshakes: ops,
                    handshake_up: ops * up,
                    handshake_down: ops * down,
                    tickets: ops * 231,
                    wire_up: ops * (up + 120),
                    wire_down: ops * (down + 231 + 1300),
                    plain_up: ops * 98,
                    plain_down: ops * 1278,
                },
                latency: Packed::of(&values),
                first: streams.then(|| Packed::of(&values)),
                gap: streams.then(|| Packed::of(&values)),
                late: streams.then(|| Packed::of(&values)),
                server_cpu_s: Some(ops as f64 * (cpu + rng.unit() * 4.0) / 1e6),
                generator_cpu_s: 0.2,
                server_rss: Some(14_000_000),
                rss_added: (case.scenario == Scenario::Idle)
                    .then(|| (ops * 14_500 + rng.below(9000) as u64).cast_signed()),
            });
        }
    }
    blocks
}

pub fn results() -> Results {
    let mut rng = Rng::new(11);
    let far = Link {
        rtt_us: 20_000,
        bits_per_second: 0,
    };
    let near = Link::default();
    let cases = [
        case(Scenario::Idle, near, 1),
        case(Scenario::FullHandshake, near, 1),
        case(Scenario::FullHandshake, far, 1),
        case(Scenario::ResumedHandshake, near, 4),
        case(Scenario::H1Keepalive, near, 1),
        case(Scenario::H1Keepalive, near, 8),
        case(Scenario::TokenStream, near, 1),
        case(Scenario::Download, near, 1),
        case(Scenario::GradientExchange, near, 1),
    ];
    Results {
        schema: SCHEMA.into(),
        provenance: Provenance {
            started: "2026-11-22T00:00:00Z".into(),
            version: "0.0.0".into(),
            profile: "optimised".into(),
            command: vec!["compare".into(), "--quick".into()],
            plan_name: "golden".into(),
            plan: "name = \"golden\"".into(),
            seed: 11,
            shard: "1/1".into(),
            machine: Machine {
                cpu: "Example CPU".into(),
                cores: 2,
                memory_mib: 8192,
                kernel: "6.0".into(),
                cpu_flags: vec!["aes".into()],
            },
            versions: [("hybrid".to_owned(), "version=0.0.0".to_owned())].into(),
            pinning: "servers on core [0], generator on core [1]".into(),
            spins: false,
            interrupted: false,
            incomplete: false,
        },
        targets: vec![
            target("hybrid", Role::Subject, Group::X25519MLKEM768),
            target("classical", Role::Baseline, Group::X25519),
        ],
        headroom: Some(Headroom {
            null_p50_us: 31.0,
            null_p99_us: 58.0,
            null_per_second: 61_000.0,
            cores: 1,
        }),
        links: vec![Verification {
            link: far,
            bare_rtt_us: 40.0,
            median_rtt_us: 20_130.0,
            p95_rtt_us: 20_300.0,
            measured_mbit: None,
        }],
        cases: cases
            .into_iter()
            .map(|case| CaseResult {
                blocks: blocks(&case, &mut rng),
                rounds: (0..case.rounds).map(conditions).collect(),
                case,
            })
            .collect(),
        checks: vec![ByteCheck {
            target: "hybrid".into(),
            what: "handshake bytes up".into(),
            client: 4_000,
            server: 4_000,
            server_span: None,
        }],
        warnings: Vec::new(),
        skipped: vec!["gRPC unary call: target hybrid: it has no echo service over gRPC".into()],
    }
}

/// A quiet machine.
fn conditions(pair: u32) -> Conditions {
    Conditions {
        pair,
        load: 0.8,
        pressure: Some(4.0),
        steal: Some(0.5),
        others: Some(1.5),
        mhz: Some(2445.0),
        throttled: None,
        ceiling: Some(60_000.0 + f64::from(pair) * 100.0),
        best: None,
    }
}
