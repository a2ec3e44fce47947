//! `--ports`: one listener for each port.

use super::*;

#[test]
fn ports_make_one_listener_each_on_every_address_of_the_pod() {
    let config = config(
        &[
            "--cert",
            "tls.crt",
            "--key",
            "tls.key",
            "--policy",
            "hybrid-required",
        ],
        &[
            (
                "HYBRIDGE_PORTS",
                "8000=127.0.0.1:8000, 8001=unix:/run/grpc.sock",
            ),
            ("POD_IPS", "10.1.2.3,fd00::3"),
        ],
    );
    let listeners: Vec<_> = config
        .listeners
        .iter()
        .map(|listener| {
            let addresses: Vec<_> = listener
                .socket
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect();
            let mode = listener.tls.policy.mode().name();
            format!(
                "{} {} -> {} {mode}",
                listener.socket.name,
                addresses.join(" "),
                listener.proxy.upstream
            )
        })
        .collect();
    assert_eq!(
        listeners,
        [
            "port-8000 10.1.2.3:8000 [fd00::3]:8000 -> 127.0.0.1:8000 hybrid-required",
            "port-8001 10.1.2.3:8001 [fd00::3]:8001 -> unix:/run/grpc.sock hybrid-required",
        ]
    );
}

#[test]
fn ports_take_their_addresses_from_listen_and_their_prefix_from_name() {
    let arguments = [
        "--ports",
        "8000=127.0.0.1:8000",
        "--listen",
        "10.1.2.3,[fd00::3]",
        "--name",
        "triton",
        "--cert",
        "c",
        "--key",
        "k",
    ];
    let config = config(&arguments, &[]);
    let socket = &config.listeners[0].socket;
    assert_eq!(socket.name, "triton-8000");
    assert_eq!(socket.addresses[1].to_string(), "[fd00::3]:8000");
}

#[test]
fn ports_that_contradict_something_are_refused() {
    let with_listener = file(LISTENER);
    let path = with_listener.path().to_str().unwrap();
    let of_file = format!(
        "--ports: cannot be combined with the listeners of {path}: write a [[listener]] for each port there"
    );
    for (arguments, expected) in [
        (vec!["--config", path], of_file.as_str()),
        (
            vec!["--upstream", "127.0.0.1:8000"],
            "--upstream: cannot be combined with --ports: each port names its own upstream",
        ),
        (
            vec![],
            "--listen: missing: say which addresses --ports are bound on, or set POD_IPS (Kubernetes: fieldRef status.podIPs)",
        ),
        (
            vec!["--listen", "10.1.2.3:8000"],
            "--listen: `10.1.2.3:8000` is not an IP address: the ports come from --ports, write only the address",
        ),
        (
            vec!["--listen", "127.0.0.1", "--cert", "c", "--key", "k"],
            "--ports: 127.0.0.1:8000 is an address that listener `port-8000` (127.0.0.1:8000) accepts on: the sidecar would call itself; write the upstream's own address",
        ),
    ] {
        let arguments = [&["--ports", "8000=127.0.0.1:8000"], arguments.as_slice()].concat();
        assert_eq!(load(&arguments, &[]).unwrap_err(), expected);
    }
}

#[test]
fn two_ports_of_one_number_are_refused() {
    let ports = "8000=127.0.0.1:1,8000=127.0.0.1:2";
    let arguments = [
        "--ports", ports, "--listen", "10.1.2.3", "--cert", "c", "--key", "k",
    ];
    assert_eq!(
        load(&arguments, &[]).unwrap_err(),
        "--ports: `port-8000` is the name of two listeners or egresses: metrics and logs tell them apart by name"
    );
}
