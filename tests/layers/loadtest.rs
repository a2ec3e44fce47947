//! The load test's rooms, from the ground up: each imports only those before it in the list.

use std::path::Path;

use crate::circles::Graph;

const ROOMS: [&str; 20] = [
    "terminal",
    "error",
    "regular",
    "rng",
    "versions",
    "stats",
    "tls",
    "net",
    "http",
    "plan",
    "results",
    "stub",
    "session",
    "observe",
    "run",
    "report",
    "capacity",
    "primitives",
    "cli",
    "command",
];

#[test]
fn imports_of_the_load_test_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtest/src");
    let floor = |room: &str| ROOMS.iter().position(|name| *name == room);
    let mut violations = Vec::new();
    for (from, to) in Graph::read(&root).between_rooms() {
        if from == "lib" || from == "main" {
            continue;
        }
        let (Some(own), Some(other)) = (floor(&from), floor(&to)) else {
            panic!("{from} or {to}: state in ROOMS where it is")
        };
        if other > own {
            violations.push(format!("{from} imports {to}, which is above it"));
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}
