//! The inner layers of `proxy`, from the ground up: each imports only those before it in the list.
//! `downstream` knows `round_trip` and `tunnel`, these know `context`, that `upstream`, that `codec`.

use std::path::Path;

use crate::circles::Graph;

const LAYERS: [&str; 34] = [
    "handshake_sample",
    "identity_fields",
    "request_log",
    "ports",
    "settings",
    "plain_http",
    "codec",
    "observers",
    "pace",
    "origin",
    "error",
    "arrival",
    "failure_log",
    "scheduler",
    "end",
    "delivery",
    "upstream",
    "connect",
    "context",
    "exchange",
    "signed",
    "local_reply",
    "round_trip",
    "signed_response",
    "tunnel",
    "port_tunnel",
    "downstream",
    "accepted",
    "access_log",
    "open_peers",
    "preface",
    "connection",
    "egress",
    "fuzzing",
];

#[test]
fn imports_within_the_proxy_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layer = |name: &str| {
        LAYERS
            .iter()
            .position(|layer| *layer == name)
            .unwrap_or_else(|| panic!("{name}: state in LAYERS where it is"))
    };
    let edges = Graph::read(&root).within("proxy");
    assert!(edges.len() > 20, "{edges:?}");
    let upwards: Vec<_> = edges
        .iter()
        .filter(|(from, to)| layer(to) > layer(from))
        .collect();
    assert!(upwards.is_empty(), "{upwards:#?}");
}
