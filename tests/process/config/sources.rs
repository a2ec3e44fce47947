//! Flags, environment and file: which one counts, and which one an error names.

use super::*;

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let file = file(&format!("{LISTENER}timeouts.head-timeout = '11s'\n"));
    let path = file.path().to_str().unwrap();
    let head = |arguments: &[&str], variables: &[(&str, &str)]| {
        let config = config(&[&["--config", path], arguments].concat(), variables);
        config.listeners[0].proxy.head_timeout.as_secs()
    };
    assert_eq!(
        head(
            &["--head-timeout", "33s"],
            &[("HYBRIDGE_HEAD_TIMEOUT", "22s")]
        ),
        33
    );
    assert_eq!(head(&[], &[("HYBRIDGE_HEAD_TIMEOUT", "22s")]), 22);
    assert_eq!(head(&[], &[("HYBRIDGE_HEAD_TIMEOUT", "")]), 11);
    assert_eq!(
        config(&WHOLE, &[]).listeners[0]
            .proxy
            .head_timeout
            .as_secs(),
        30
    );
}

#[test]
fn the_environment_alone_describes_a_listener() {
    let config = config(
        &[],
        &[
            ("HYBRIDGE_LISTEN", "10.1.2.3,fd00::3:8000"),
            ("HYBRIDGE_UPSTREAM", "10.0.0.9:8000"),
            ("HYBRIDGE_UNSAFE_REMOTE_UPSTREAM", "true"),
            ("HYBRIDGE_CERT", "tls.crt"),
            ("HYBRIDGE_KEY", "tls.key"),
            ("HYBRIDGE_PROBES", "[]"),
        ],
    );
    let [listener] = config.listeners.as_slice() else {
        panic!("{config}")
    };
    assert_eq!(listener.socket.addresses[1].to_string(), "[fd00::3]:8000");
    assert_eq!(config.probes.as_deref(), Some("[]"));
}

#[test]
fn the_file_is_found_through_the_environment_too() {
    let file = file(LISTENER);
    let path = file.path().to_str().unwrap();
    let config = config(&[], &[("HYBRIDGE_CONFIG", path)]);
    assert_eq!(config.listeners.len(), 1);
}

#[test]
fn lists_are_repeated_flags_or_commas() {
    let groups = |arguments: &[&'static str]| {
        let config = config(&whole(arguments), &[]);
        let groups = config.listeners[0].tls.policy.groups().iter();
        groups.map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected = ["X25519MLKEM768", "X25519"];
    assert_eq!(groups(&["--groups", "X25519MLKEM768,X25519"]), expected);
    assert_eq!(
        groups(&["--groups", "X25519MLKEM768", "--groups", "X25519"]),
        expected
    );
}

#[test]
fn errors_name_the_flag_or_the_variable() {
    for (arguments, variables, expected) in [
        (
            whole(&["--head-timeout", "soon"]),
            vec![],
            "--head-timeout: `soon` is not a duration above zero up to \"720h\", such as \"250ms\", \"5s\", \"2m\" or \"1h\"",
        ),
        (
            whole(&[]),
            vec![("HYBRIDGE_MAX_CONNECTIONS", "0")],
            "HYBRIDGE_MAX_CONNECTIONS: `0` is not a whole number from 1 to 1000000",
        ),
        (
            whole(&["--protocol=http2"]),
            vec![],
            "--protocol: `http2` is not one of http, tcp, tunnel: did you mean `http`?",
        ),
        (
            whole(&["--policy", "hybrid-required", "--groups", "X25519"]),
            vec![],
            "--groups: listener `default`: groups: `X25519` is classical and contradicts policy `hybrid-required`: remove it or change the policy",
        ),
        (
            vec![],
            vec![],
            "--listen: missing: say where to accept TLS, for example 0.0.0.0:8443",
        ),
        (
            vec!["--listen", ":8443", "--upstream", "127.0.0.1:8000"],
            vec![],
            "--cert: missing: name the PEM file with the certificate chain; `hybridge certs` makes a pair to try with",
        ),
        (
            whole(&[]),
            vec![("HYBRIDGE_POLCY", "hybrid-required")],
            "HYBRIDGE_POLCY: unknown environment variable: did you mean HYBRIDGE_POLICY?",
        ),
        (
            whole(&["--config", "/nowhere/hybridge.toml"]),
            vec![],
            "/nowhere/hybridge.toml: cannot be read: No such file or directory (os error 2)",
        ),
        (
            whole(&["--config", "/dev/zero"]),
            vec![],
            "/dev/zero: larger than 1MiB: this is not a configuration",
        ),
        (
            whole(&["--unsafe-remote-upstream=perhaps"]),
            vec![],
            "--unsafe-remote-upstream: `perhaps` is not true or false",
        ),
        (
            whole(&["--traces-endpoint", "auto"]),
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
                ("OTEL_SERVICE_NAME", "two\nlines"),
            ],
            "OTEL_SERVICE_NAME: the name of a service is in every span: choose at most 255 characters of words in one line",
        ),
        (
            vec![
                "--listen",
                ":8443",
                "--upstream",
                "127.0.0.1:8000",
                "--spiffe",
                "auto",
            ],
            vec![("SPIFFE_ENDPOINT_SOCKET", "tcp:127.0.0.1:1")],
            "SPIFFE_ENDPOINT_SOCKET: `tcp:127.0.0.1:1` is no Unix socket: write unix:/run/spire/agent.sock",
        ),
    ] {
        let error = load(&arguments, &variables).unwrap_err();
        assert_eq!(error, expected);
    }
}

#[test]
fn an_unknown_variable_far_from_every_name_is_a_warning() {
    let loaded = load(&WHOLE, &[("HYBRIDGE_COLOUR", "red")]).unwrap();
    let expected = "HYBRIDGE_COLOUR: unknown environment variable, ignored";
    assert_eq!(loaded.warnings, [expected]);
}

#[test]
fn listener_flags_beside_a_file_with_two_listeners_are_refused() {
    let first = LISTENER.replace("listen =", "name = 'a'\nlisten =");
    let second = first.replace("'a'", "'b'").replace("8443", "8444");
    let file = file(&format!("{first}{second}"));
    let path = file.path().to_str().unwrap();
    let error = load(&["--config", path, "--policy", "hybrid-required"], &[]).unwrap_err();
    let expected = format!(
        "--policy: flags and environment describe one listener, but {path} has 2: change it there"
    );
    assert_eq!(error, expected);
    let config = config(&["--config", path, "--workers", "5"], &[]);
    assert_eq!((config.listeners.len(), config.workers), (2, 5));
}

#[test]
fn a_file_without_a_listener_takes_the_one_of_the_flags() {
    let file = file("workers = 4\n");
    let path = file.path().to_str().unwrap();
    let config = config(&[&WHOLE[..], &["--config", path]].concat(), &[]);
    assert_eq!((config.listeners.len(), config.workers), (1, 4));
}

#[test]
fn workers_default_to_what_the_container_may_use() {
    let available = std::thread::available_parallelism().unwrap().get();
    let config = config(&WHOLE, &[]);
    assert_eq!(config.workers, available);
}

#[test]
fn ctl_finds_the_admin_port_of_its_own_pod() {
    let found = |flag, variables: &[(&str, &str)]| {
        hybridge::config::admin_address(flag, &environment(variables))
            .map(|address| address.to_string())
            .map_err(|error| error.to_string())
    };
    let variable = "HYBRIDGE_ADMIN";
    assert_eq!(found(None, &[]).unwrap(), "127.0.0.1:9443");
    assert_eq!(
        found(None, &[(variable, "0.0.0.0:15400")]).unwrap(),
        "127.0.0.1:15400"
    );
    assert_eq!(found(None, &[(variable, ":15400")]).unwrap(), "[::1]:15400");
    assert_eq!(
        found(None, &[(variable, "10.0.0.1:1,127.0.0.1:2")]).unwrap(),
        "127.0.0.1:2"
    );
    assert_eq!(
        found(Some("127.0.0.1:3"), &[(variable, ":15400")]).unwrap(),
        "127.0.0.1:3"
    );
    let none = "there is no admin port to talk to: name the sidecar's, such as 127.0.0.1:9443";
    let error = found(None, &[(variable, "none")]).unwrap_err();
    assert_eq!(error, format!("HYBRIDGE_ADMIN: {none}"));
    let error = found(Some("off"), &[]).unwrap_err();
    assert_eq!(error, format!("--admin: {none}"));
    let error = found(Some("9443"), &[]).unwrap_err();
    assert_eq!(
        error,
        "--admin: `9443` is a port without an address: write 127.0.0.1:9443"
    );
}

/// A comma too many is no rule, and one with a space behind it may be a part of a name.
#[test]
fn common_names_are_not_empty_and_not_cut_at_a_comma() {
    let refused = |names: &str| {
        let listener = "--listen 127.0.0.1:8443 --upstream 127.0.0.1:8000 --cert a --key b";
        let clients = "--client-auth required --client-ca c --allow-cn";
        let words = listener.split(' ').chain(clients.split(' '));
        let arguments: Vec<&str> = words.chain([names]).collect();
        load(&arguments, &[]).err()
    };
    let said = refused("batch,").unwrap();
    assert!(said.contains("`` is empty"), "{said}");
    let said = refused("Acme, Inc").unwrap();
    assert!(
        said.contains("one name with a comma, or several?"),
        "{said}"
    );
    assert_eq!(refused("batch,other"), None);
}
