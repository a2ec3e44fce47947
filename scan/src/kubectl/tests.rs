//! Which objects are targets, which are lines, and what is refused.

use super::*;

const OBJECTS: &str = r#"{"kind": "List", "items": [
    {"kind": "Service", "metadata": {"name": "api", "namespace": "llm"}, "spec": {"ports": [
        {"name": "https", "port": 9000}, {"name": "http", "port": 80}, {"port": 8443}]}},
    {"kind": "Ingress", "metadata": {"name": "web", "namespace": "llm"}, "spec": {
        "tls": [{"hosts": ["chat.example", "*.wild.example"]}],
        "rules": [{"host": "chat.example"}, {"host": "a.wild.example"}, {"host": "plain.example"}]}},
    {"kind": "Ingress", "metadata": {"name": "all", "namespace": "llm"}, "spec": {
        "tls": [{"secretName": "tls"}], "rules": [{"host": "every.example"}]}},
    {"kind": "Gateway", "metadata": {"name": "gw"}, "spec": {"listeners": [
        {"protocol": "HTTPS", "port": 443, "hostname": "*.example"},
        {"protocol": "TLS", "port": 8443}]}, "status": {"addresses": [{"value": "10.0.0.9"}]}},
    {"kind": "EndpointSlice", "metadata": {"name": "s"}, "ports": [{"name": "tls", "port": 6001}],
        "endpoints": [{"addresses": ["fd00::7"]}]},
    {"kind": "Pod", "metadata": {"name": "p"}}, 7]}"#;

#[test]
fn every_object_is_a_target_or_a_line() {
    let found = read(OBJECTS).unwrap_or_else(|error| panic!("{error}"));
    let targets: Vec<String> = found.targets.iter().map(ToString::to_string).collect();
    assert_eq!(
        targets,
        [
            "api.llm.svc:9000",
            "api.llm.svc:8443",
            "chat.example:443",
            "a.wild.example:443",
            "every.example:443",
            "10.0.0.9:8443",
            "[fd00::7]:6001"
        ]
    );
    // A host of the Ingress stands for its wildcard; none of the Gateway does, and nothing for what has no kind.
    assert_eq!(found.unreached, 2);
    assert_eq!(
        found.not_tried,
        [
            "Service llm/api: port 80 is not named as TLS",
            "Ingress llm/web: *.wild.example is a wildcard",
            "Ingress llm/web: host plain.example has no TLS section",
            "Gateway default/gw: *.example is a wildcard",
            "Pod default/p: this kind names no endpoint that a scan knows",
            "an item without a kind: nothing says what it is",
        ]
    );
}

#[test]
fn an_object_that_names_nothing_is_a_line_too() {
    let objects = r#"{"items": [
        {"kind": "Service", "metadata": {"name": "headless"}, "spec": {"clusterIP": "None"}},
        {"kind": "Ingress", "metadata": {"name": "d"}, "spec": {"defaultBackend": {}}},
        {"kind": "Gateway", "metadata": {"name": "g"}, "spec": {"listeners": []}},
        {"kind": "EndpointSlice", "metadata": {"name": "s"}, "ports": null},
        {"kind": "Service", "metadata": {"name": "p\\u001b[2J"}, "spec": {"ports": [
            {"name": "https", "port": -1}, {"name": "https", "port": "443"}]}},
        {"kind": "Gateway", "metadata": {"name": "two"}, "spec": {"listeners": [
            {"protocol": "TLS", "port": 443}]}, "status": {"addresses": [
            {"value": "10.0.0.1"}, {"value": "10.0.0.2"}]}}]}"#;
    let found = read(objects).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.targets.len(), 2, "{found:?}");
    assert_eq!(found.not_tried.len(), 6, "{found:?}");
    assert_eq!(found.unreached, 2, "{found:?}");
    let mut lines = found.not_tried.iter();
    assert!(lines.all(|line| !line.contains('\u{1b}')), "{found:?}");
}

#[test]
fn many_wildcards_and_hosts_are_read_at_once() {
    let list = |make: &dyn Fn(usize) -> String| {
        let all: Vec<String> = (0..30_000).map(make).collect();
        all.join(",")
    };
    let objects = format!(
        r#"{{"kind": "Ingress", "metadata": {{"name": "w"}}, "spec": {{
            "tls": [{{"hosts": [{}]}}], "rules": [{}]}}}}"#,
        list(&|n| format!("\"*.{n}.example\"")),
        list(&|n| format!("{{\"host\": \"a.{n}.example\"}}"))
    );
    let begun = std::time::Instant::now();
    let found = read(&objects).unwrap_or_else(|error| panic!("{error}"));
    // Each with each took more than a minute without optimisation.
    assert!(begun.elapsed() < std::time::Duration::from_secs(15));
    assert_eq!((found.targets.len(), found.unreached), (30_000, 0));
}

#[test]
fn an_input_without_a_byte_is_a_kubectl_that_failed() {
    assert_eq!(
        read("\n").err().as_deref(),
        Some("nothing came of kubectl: its own error says why")
    );
}

/// `kubectl get --raw` prints lists whose items do not say what they are.
#[test]
fn items_of_a_typed_list_are_what_it_says() {
    let service = r#"{"metadata": {"name": "a", "namespace": "n"}, "spec": {"ports": [{"name": "https", "port": 1}]}}"#;
    for objects in [
        format!(r#"{{"kind": "ServiceList", "apiVersion": "v1", "items": [{service}]}}"#),
        format!(
            r#"{{"kind": "List", "apiVersion": "v1", "items": [
                {{"kind": "ServiceList", "apiVersion": "v1", "items": [{service}]}},
                {{"kind": "PodList", "apiVersion": "v1", "items": null}}]}}"#
        ),
    ] {
        let found = read(&objects).unwrap_or_else(|error| panic!("{error}"));
        let targets: Vec<String> = found.targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["a.n.svc:1"], "{objects}");
        assert_eq!((found.unreached, found.not_tried.len()), (0, 0));
    }
    for unclear in [
        format!(r#"{{"kind": "List", "items": [{service}]}}"#),
        r#"{"kind": "List", "items": [{"kind": "ServiceList", "items": {}}]}"#.to_owned(),
        format!(
            "{}{service}{}",
            r#"{"kind": "List", "items": ["#.repeat(9),
            "]}".repeat(9)
        ),
    ] {
        let found = read(&unclear).unwrap_or_else(|error| panic!("{error}"));
        let counts = (found.targets.len(), found.unreached, found.not_tried.len());
        assert_eq!(counts, (0, 1, 1), "{unclear}");
    }
}

/// Its proxy terminates TLS, or passes it on, for TCP and databases too.
#[test]
fn a_server_of_istio_with_tls_is_tried_whatever_it_carries() {
    let server = |protocol: &str, tls: &str| {
        let objects = format!(
            r#"{{"kind": "Gateway", "apiVersion": "networking.istio.io/v1", "spec": {{"servers": [
                {{"port": {{"number": 1, "protocol": "{protocol}"}}, "hosts": ["a.example"]{tls}}}]}}}}"#
        );
        let found = read(&objects).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.targets.len() + found.not_tried.len(), 1);
        found.targets.len() == 1
    };
    let simple = r#", "tls": {"mode": "SIMPLE"}"#;
    for protocol in ["TCP", "MONGO", "tcp", "TLS"] {
        assert!(server(protocol, simple), "{protocol}");
    }
    assert!(server("HTTPS", ""));
    assert!(!server("TCP", ""));
    assert!(!server("TCP", r#", "tls": null"#));
    for protocol in ["HTTP", "HTTP2", "GRPC", "GRPC-Web"] {
        let redirect = r#", "tls": {"httpsRedirect": true}"#;
        assert!(!server(protocol, redirect), "{protocol}");
    }
}

/// Several groups have a kind `Gateway`, and other projects a `Service`.
#[test]
fn the_api_group_says_which_kind_it_is() {
    let objects = r#"{"kind": "List", "items": [
        {"kind": "Gateway", "apiVersion": "networking.istio.io/v1", "metadata": {"name": "g"}, "spec": {"servers": [
            {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["ai/chat.example", "*"]},
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["chat.example"]},
            {"port": {"number": 8443, "protocol": "TLS"}}]}},
        {"kind": "Gateway", "apiVersion": "example.com/v1", "metadata": {"name": "o"}},
        {"kind": "Service", "apiVersion": "serving.knative.dev/v1", "metadata": {"name": "k"}}]}"#;
    let found = read(objects).unwrap_or_else(|error| panic!("{error}"));
    let targets: Vec<String> = found.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["chat.example:443"]);
    assert_eq!(found.unreached, 2, "{found:?}");
    assert_eq!(
        found.not_tried,
        [
            "Gateway default/g: * is a wildcard",
            "Gateway default/g: port 80 speaks HTTP",
            "Gateway default/g: a server that names no host",
            "Gateway default/o: this kind names no endpoint that a scan knows",
            "Service default/k: this kind names no endpoint that a scan knows",
        ]
    );
}

#[test]
fn what_is_no_list_is_refused() {
    assert!(read("{").is_err());
    assert!(read("{}").is_err());
    assert!(read(r#"{"items": 7}"#).is_err());
    assert!(read(r#"{"items": null}"#).is_err());
    // An empty one of Go is.
    let empty = read(r#"{"kind": "ServiceList", "apiVersion": "v1", "items": null}"#);
    assert!(empty.is_ok_and(|found| found.targets.is_empty() && found.not_tried.is_empty()));
}

/// Its default backend is behind TLS under names that it does not say.
#[test]
fn a_tls_section_for_every_host_is_tried_or_missed() {
    let ingress = |spec: &str| {
        let object = r#"{"kind": "Ingress", "metadata": {"name": "i", "namespace": "n"}, "spec": "#;
        let found = read(&format!("{object}{spec}}}")).unwrap_or_else(|error| panic!("{error}"));
        (found.targets.len(), found.unreached, found.not_tried.len())
    };
    let backend = r#""defaultBackend": {"service": {"name": "s"}}"#;
    for (spec, expected) in [
        (
            format!(r#"{{"tls": [{{"secretName": "t"}}], {backend}}}"#),
            (0, 1, 1),
        ),
        (
            format!(r#"{{"tls": [{{"hosts": []}}], "rules": [], {backend}}}"#),
            (0, 1, 1),
        ),
        (
            format!(
                r#"{{"tls": [{{"hosts": ["a.b"]}}, {{}}], "rules": [{{"host": "a.b"}}], {backend}}}"#
            ),
            (1, 1, 1),
        ),
        (
            r#"{"tls": [{}], "rules": [{"host": "a.b"}]}"#.to_owned(),
            (1, 0, 0),
        ),
        (r#"{"tls": [{}], "rules": [{}]}"#.to_owned(), (0, 1, 1)),
        (format!("{{{backend}}}"), (0, 0, 1)),
    ] {
        assert_eq!(ingress(&spec), expected, "{spec}");
    }
}
