//! The budget: what bounds what, and what is said about it.

use super::*;

fn with_memory(bytes: u64) -> Resources {
    Resources {
        memory: Some(Memory {
            bytes,
            source: MemorySource::Cgroup,
        }),
        ..Resources::default()
    }
}

fn asked(connections: usize) -> Asked {
    Asked {
        connections,
        explicit: true,
        handshakes: 1000,
    }
}

fn demand(listeners: &[usize]) -> Demand {
    Demand {
        listeners: listeners.iter().map(|n| asked(*n)).collect(),
        admin: 128,
        workers: 2,
        ..Demand::default()
    }
}

#[test]
fn descriptors_that_are_left_bound_the_connections_of_all_listeners() {
    let resources = Resources {
        descriptors: Some(1024),
        memory: None,
    };
    let budget = Budget::new(&resources, &demand(&[10_000]));
    assert_eq!(budget.reserved_descriptors, 64 + 8 + 128);
    assert_eq!(budget.connections, [412]);
    let warnings = budget.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for number in ["10000", "20200", "1024", "412"] {
        assert!(warnings[0].contains(number), "{warnings:?}");
    }
    assert!(budget.to_string().contains("# warning: max-connections"));
    assert!(
        budget
            .to_string()
            .contains("# socket buffers of the kernel come on top")
    );
    assert_eq!(budget.upstream_sockets(), Some(1024 - 200 - 412 - 64));
    assert!(
        budget
            .to_string()
            .contains("# upstream sockets: at most 348,")
    );
    let two = Budget::new(&resources, &demand(&[300, 100]));
    assert_eq!(two.connections, [300, 100]);
    assert_eq!(two.upstream_sockets(), Some(824 - 400 - 106));
    let two = Budget::new(&resources, &demand(&[900, 300]));
    assert_eq!(two.connections, [309, 103]);
    let none_left = Resources {
        descriptors: Some(100),
        ..resources
    };
    let none_left = Budget::new(&none_left, &demand(&[10]));
    assert_eq!(
        (&none_left.connections[..], none_left.upstream_sockets()),
        (&[1][..], Some(1))
    );
    let unbounded = Budget::new(&Resources::default(), &demand(&[10]));
    assert_eq!(unbounded.upstream_sockets(), None);
}

#[test]
fn connections_that_outgrow_the_memory_are_warned_about() {
    let resources = with_memory(128 << 20);
    assert!(
        Budget::new(&resources, &demand(&[256]))
            .warnings()
            .is_empty()
    );
    let warnings = Budget::new(&resources, &demand(&[1000])).warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for number in ["1000", "407 MiB", "16 MiB", "128 MiB", "256"] {
        assert!(warnings[0].contains(number), "{warnings:?}");
    }
    // What the machine happens to have left is no limit.
    let available = Resources {
        memory: resources.memory.map(|memory| Memory {
            source: MemorySource::Available,
            ..memory
        }),
        ..resources
    };
    assert!(
        Budget::new(&available, &demand(&[1000]))
            .warnings()
            .is_empty()
    );
}

#[test]
fn connections_follow_the_memory_and_are_shared_by_listeners() {
    assert_eq!(connections(128 << 20, 0, 1), 256);
    assert_eq!(connections(64 << 20, 0, 1), 106);
    assert_eq!(connections(64 << 20, 0, 3), 35);
    assert_eq!(connections(128 << 20, 2048 * SPAN_MEMORY, 1), 250);
    assert_eq!(connections(8 << 30, 0, 1), MOST_CONNECTIONS);
    assert_eq!(connections(1, 0, 1), 1);
}

/// Nobody wrote it, so nobody is told to change it.
#[test]
fn a_default_gives_way_in_silence() {
    let default = |resources: &Resources, count: usize| {
        let mut demand = demand(&vec![10_000; count]);
        for listener in &mut demand.listeners {
            listener.explicit = false;
        }
        let budget = Budget::new(resources, &demand);
        assert_eq!(budget.warnings(), Vec::<String>::new());
        budget.connections
    };
    let few_descriptors = Resources {
        descriptors: Some(1024),
        memory: None,
    };
    assert_eq!(default(&few_descriptors, 1), [412]);
    assert_eq!(default(&with_memory(128 << 20), 1), [256]);
    assert_eq!(default(&with_memory(128 << 20), 2), [128, 128]);
    assert_eq!(default(&with_memory(8 << 30), 1), [10_000]);
}

/// What the injector admits and what `check` prints agree, whatever the memory.
#[test]
fn what_is_admitted_fits_into_the_memory_with_http2_at_its_bounds() {
    for mib in [64_u64, 128, 256, 512, 1024] {
        for listeners in 1..4 {
            let each = usize::try_from(connections(mib << 20, 0, listeners)).unwrap_or(0);
            let asked = vec![each; usize::try_from(listeners).unwrap_or(0)];
            let budget = Budget::new(&with_memory(mib << 20), &demand(&asked));
            assert!(budget.most_memory() <= mib << 20, "{mib} MiB: {budget}");
            assert_eq!(budget.warnings(), Vec::<String>::new());
        }
    }
}

#[test]
fn spans_that_wait_for_the_collector_are_part_of_the_memory() {
    let without = Budget::new(&with_memory(128 << 20), &demand(&[1000]));
    assert!(!without.to_string().contains("spans"), "{without}");
    let demand = Demand {
        spans: 20_000,
        ..demand(&[1000])
    };
    let with = Budget::new(&with_memory(128 << 20), &demand);
    assert_eq!(with.most_memory() - without.most_memory(), 20_000 << 10);
    for line in [with.to_string(), with.warnings().join("")] {
        assert!(line.contains(", 20 MiB for spans"), "{line}");
    }
    // What the warning names fits, and no more.
    let warned_of = |connections| {
        let demand = Demand {
            listeners: vec![asked(connections)],
            ..demand.clone()
        };
        let budget = Budget::new(&with_memory(128 << 20), &demand);
        budget.warnings().join("")
    };
    assert!(warned_of(1000).contains("lower max-connections to 203"));
    assert_eq!(warned_of(203), "");
    assert_ne!(warned_of(204), "");
}

#[test]
fn signatures_that_are_remembered_are_part_of_the_memory() {
    let of = |replay, explicit| {
        let mut demand = Demand {
            replay,
            ..demand(&[256])
        };
        demand.listeners[0].explicit = explicit;
        Budget::new(&with_memory(128 << 20), &demand)
    };
    let default = of(100_000, false);
    assert_eq!(default.connections, [240]);
    assert!(default.to_string().contains(", 6 MiB for signatures seen"));
    assert_eq!(default.warnings(), Vec::<String>::new());
    let warned = of(10_000_000, false).warnings();
    assert_eq!(warned.len(), 1, "{warned:?}");
    for part in ["573 MiB", "128 MiB", "lower replay-table"] {
        assert!(warned[0].contains(part), "{warned:?}");
    }
    assert_eq!(of(100_000, true).warnings().len(), 1);
    assert_eq!(of(10_000_000, true).warnings().len(), 2);
}

/// Sockets that nobody counts would be missing to clients that were promised a place.
#[test]
fn sockets_that_the_process_opens_itself_are_reserved() {
    let reserved =
        |demand: Demand| Budget::new(&Resources::default(), &demand).reserved_descriptors;
    let least = reserved(demand(&[10]));
    let probing = Demand {
        probes: true,
        ..demand(&[10])
    };
    assert_eq!(reserved(probing), least + 128);
    let others = Demand {
        egresses: 2,
        services: 3,
        ..demand(&[10])
    };
    assert_eq!(reserved(others), least + 2 * 32 + 3);
}
