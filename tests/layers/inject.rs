//! The inner layers of `inject`: the command calls the four that read and write, these call the planner.

use std::path::Path;

use crate::circles::Graph;

/// From the ground up. Those of one line may know each other, which the test of circles bounds.
const LAYERS: [&[&str]; 4] = [
    &["plan"],
    &["certs_check", "cli"],
    &["certs", "cluster", "error", "manifest", "webhook"],
    &["command"],
];

#[test]
fn imports_within_inject_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let edges = Graph::read(&root).within("inject");
    assert!(edges.len() > 8, "{edges:?}");
    let upwards: Vec<_> = edges
        .iter()
        .filter(|(from, to)| layer(to) > layer(from))
        .collect();
    assert!(upwards.is_empty(), "{upwards:#?}");
}

fn layer(name: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&name))
        .unwrap_or_else(|| panic!("{name}: state in LAYERS where it is"))
}
